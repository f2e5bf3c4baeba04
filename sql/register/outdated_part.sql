-- Parts of plates that land with other content than they had.
-- Grain: one row per part.   Reads: landed, part, plate.
select
    part.model,
    part.plate,
    part.uri
from landed
inner join part on part.plate = landed.plate
left join plate on plate.plate_id = landed.plate
where plate.content_hash is distinct from landed.content_hash
order by part.uri
