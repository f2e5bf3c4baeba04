-- Aggregates over vectors of one length, and what they need. A NULL vector makes an aggregate NULL.
create or replace temp macro sliced(v, i) as list_transform(v, lambda e: e[i]);

-- Mean, median and median absolute deviation of each dimension.
create or replace temp macro mean_vector(v) as
list_transform(range(1, len(any_value(v)) + 1), lambda i: list_avg(sliced(list(v), i)));

create or replace temp macro median_vector(v) as
list_transform(
    range(1, len(any_value(v)) + 1), lambda i: list_aggregate(sliced(list(v), i), 'median')
);

create or replace temp macro mad_vector(v) as
list_transform(
    range(1, len(any_value(v)) + 1), lambda i: list_aggregate(sliced(list(v), i), 'mad')
);

create or replace temp macro stddev_vector(v) as
list_transform(
    range(1, len(any_value(v)) + 1), lambda i: list_aggregate(sliced(list(v), i), 'stddev_pop')
);
