"""Which compounds look alike? Mean profiles and their cosines, in one SQL query.

Run `python examples/similar_compounds.py LAKE MODEL`.
"""

import sys

import polars as pl

import unidino as ud

QUERY = """
with compound_mean as (
    select compound, any_value(moa) as moa, mean_vector(embedding) as mean
    from profile
    where model = $model and level = 'compound' and control_type = 'trt'
    group by compound
)
select
    a.compound,
    a.moa,
    b.compound as most_similar,
    b.moa as its_moa,
    list_cosine_similarity(a.mean, b.mean) as similarity
from compound_mean as a
inner join compound_mean as b on a.compound <> b.compound and len(a.mean) = len(b.mean)
qualify row_number() over (partition by a.compound order by similarity desc, b.compound) = 1
order by similarity desc
"""


def most_similar(lake: ud.Lake, model: str) -> pl.DataFrame:
    """Each compound with the compound that has the most similar mean profile."""
    ud.profile(lake, ud.Selection([model], level="compound"))
    return lake.query(QUERY, {"model": model})


if __name__ == "__main__":
    print(most_similar(ud.Lake.open(sys.argv[1]), sys.argv[2]))
