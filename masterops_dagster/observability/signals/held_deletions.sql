-- rows that a system says are gone and that wait for a person, by stream
select
    account || '.' || stream as subject,
    split_part(account, '_', 1) as system,
    account,
    ops.business_of(account) as business_key,
    held_rows::double precision as value,
    jsonb_build_object('ours', our_rows, 'stream', stream) as detail,
    held_since as began_at
from ops.held_deletions
where held_since <= %(at)s
and (accepted_rows is null or accepted_rows < held_rows)
