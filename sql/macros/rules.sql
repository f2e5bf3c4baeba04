-- The key together with the label, as one key: only profiles with the same key and the same label
-- share it. The published program refuses a neighbour of the same batch (plate, laboratory) only if
-- it also has the label of the query.
create or replace temp macro shared_by_label(key, label) as
case when key is not null and label is not null then to_json([key, label])::varchar end;
