-- A label is a record's id, and that record has a label itself: take that one.
update labels
set label = further.label
from labels as further
where labels.label = further.identity_id and further.label < labels.label
