-- The channels of all images, which --channel-names names in this order.
-- Grain: one row per channel index, or per name of a channel without index.   Reads: typed.
select
    channel_index,
    coalesce(
        list(distinct channel order by channel) filter (channel is not null), []::varchar[]
    ) as names
from typed
where channel_index is not null or channel is not null
group by channel_index, case when channel_index is null then channel end
order by channel_index nulls last, names
