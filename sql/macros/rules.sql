-- A key that only profiles of one label share: the published program refuses a neighbour of the same
-- batch (plate, laboratory) only if it also has the label of the query.
create or replace temp macro shared_by_label(key, label) as
case when key is not null and label is not null then to_json([key, label])::varchar end;
