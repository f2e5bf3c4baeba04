-- Aggregates over vectors of equal length. The vectors are sorted before they are summed, so that a
-- mean is the same to the last bit with any number of threads.
create or replace temp macro sliced(v, i) as list_transform(v, lambda e: e[i]);

create or replace temp macro mean_vector(v) as
list_transform(range(1, len(any_value(v)) + 1), lambda i: list_avg(sliced(list(v order by v), i)));

-- Mean with a weight for each vector.
create or replace temp macro weighted_mean_vector(v, w) as
list_transform(
    range(1, len(any_value(v)) + 1),
    lambda i: list_sum(list_transform(list({ 'v': v, 'w': w } order by v), lambda e: e.v[i] * e.w)) / sum(w)
);

-- Median, median absolute deviation and population standard deviation of each dimension.
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
    range(1, len(any_value(v)) + 1), lambda i: list_aggregate(sliced(list(v order by v), i), 'stddev_pop')
);
