-- One row per compound and channel of a dose command: a curve of effects against the dose.
create table if not exists dose (
    model varchar not null,
    normalization varchar not null,
    dataset varchar not null,
    level varchar not null,
    effect varchar not null check (effect in ('axis', 'distance', 'projection', 'feature')),
    compound varchar not null,
    channel varchar not null,
    curve varchar not null check (curve in ('logistic', 'monotone')),
    n integer not null check (n > 0),
    num_doses integer not null check (num_doses > 1),
    num_controls integer not null check (num_controls > 0),
    is_active boolean not null,
    p_value double not null check (p_value between 0 and 1),
    q_value double not null check (q_value between 0 and 1),
    ec50_um double check (ec50_um > 0),
    ec50_low_um double,
    ec50_high_um double,
    lowest_active_um double check (lowest_active_um > 0),
    lowest_active_low_um double,
    lowest_active_high_um double,
    beyond varchar check (beyond in ('below', 'above')),
    bottom double not null,
    top double not null,
    slope double,
    r2 double not null,
    point_um double[] not null,
    point_effect double[] not null,
    control_effect double[] not null,
    curve_um double[] not null,
    curve_effect double[] not null,
    curve_low double[] not null,
    curve_high double[] not null,
    question json not null,
    question_hash varchar not null,
    run_id varchar not null
);
comment on table dose is 'One row per compound and channel of a dose command.';
comment on column dose.effect is
'axis: along the axis to the other wells of the compound, in standard deviations of the controls.
distance: from the cloud of controls. projection: 0 at the negative, 1 at the positive control.
feature: in robust standard deviations of the controls.';
comment on column dose.channel is 'Channel, all for all of them together, or the name of the feature.';
comment on column dose.curve is 'logistic (four parameters) or monotone.';
comment on column dose.n is 'Wells of the compound.';
comment on column dose.is_active is 'Whether q_value is under 0.05.';
comment on column dose.p_value is 'Share of shuffled responses that a curve explains as well.';
comment on column dose.q_value is 'p_value after Benjamini and Hochberg, over the compounds and channels of a dataset.';
comment on column dose.ec50_um is
'Dose of half the effect, micromolar; NULL if the compound is inactive or the dose was not tested.';
comment on column dose.ec50_low_um is 'Lower end of the 95 % interval; NULL where it leaves the tested doses.';
comment on column dose.ec50_high_um is 'Upper end of the 95 % interval; NULL where it leaves the tested doses.';
comment on column dose.lowest_active_um is
'Lowest tested dose that differs from the controls, as all higher ones do, micromolar.';
comment on column dose.beyond is
'Side of the tested doses on which the EC50 of an active compound is, if not among them.';
comment on column dose.bottom is 'Effect of the curve without compound.';
comment on column dose.top is 'Effect of the curve at the highest tested dose.';
comment on column dose.slope is 'Hill slope of the logistic.';
comment on column dose.r2 is 'Share of the variance that the curve explains.';
comment on column dose.point_um is 'Dose of each well, micromolar; its effect is in point_effect.';
comment on column dose.curve_um is 'Doses at which the curve is drawn, micromolar; low and high are its 95 % band.';
comment on column dose.question is 'The question as canonical JSON; standard values are left out.';
comment on column dose.question_hash is 'SHA-256 of question.';
