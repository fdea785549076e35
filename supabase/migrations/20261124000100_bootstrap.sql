-- What Supabase brings and plain PostgreSQL lacks: the API's roles and the auth helpers that policies are written with.
-- Does nothing where they exist, and needs no privilege there.

do $bootstrap$
declare
    wanted record;
    auth_schema oid;
begin
    for wanted in
        select *
        from (values
            ('anon', 'nologin noinherit', ''),
            ('authenticated', 'nologin noinherit', ''),
            ('service_role', 'nologin noinherit', 'bypassrls'),
            ('authenticator', 'login noinherit', '')
        ) as roles (name, attributes, privilege)
    loop
        if not exists (select from pg_roles where rolname = wanted.name) then
            begin
                execute format('create role %I %s', wanted.name, wanted.attributes);
                if wanted.name = 'authenticator' then
                    grant anon, authenticated, service_role to authenticator;
                end if;
            exception
                -- roles belong to the cluster: another database's bootstrap may have been faster
                when duplicate_object or unique_violation then null;
            end;
            if wanted.privilege <> '' then
                begin
                    execute format('alter role %I %s', wanted.name, wanted.privilege);
                exception
                    when insufficient_privilege then
                        raise warning 'role % has no %: only a superuser can grant it', wanted.name, wanted.privilege;
                end;
            end if;
        end if;
    end loop;

    -- the catalogue is read directly: to_regprocedure fails where the migrating role may not use the schema
    if not exists (select from pg_namespace where nspname = 'auth') then
        create schema auth;
        comment on schema auth is 'Who is asking: helpers over the claims that the API puts into request.jwt.claims.';
        grant usage on schema auth to anon, authenticated, service_role;
    end if;
    auth_schema := (select oid from pg_namespace where nspname = 'auth');

    if not exists (select from pg_proc where pronamespace = auth_schema and proname = 'jwt' and pronargs = 0) then
        create function auth.jwt() returns jsonb
            language sql stable
            as $$ select nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;
        comment on function auth.jwt() is 'The claims of the request''s token; null outside a request.';
    end if;

    if not exists (select from pg_proc where pronamespace = auth_schema and proname = 'uid' and pronargs = 0) then
        create function auth.uid() returns uuid
            language sql stable
            as $$
                select coalesce(
                    nullif(current_setting('request.jwt.claim.sub', true), ''),
                    nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
                )::uuid
            $$;
        comment on function auth.uid() is 'The id of the user who is asking; null outside a request.';
    end if;

    if not exists (select from pg_proc where pronamespace = auth_schema and proname = 'role' and pronargs = 0) then
        create function auth.role() returns text
            language sql stable
            as $$
                select coalesce(
                    nullif(current_setting('request.jwt.claim.role', true), ''),
                    nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role'
                )
            $$;
        comment on function auth.role() is 'The role in the request''s token; null outside a request.';
    end if;
end
$bootstrap$;
