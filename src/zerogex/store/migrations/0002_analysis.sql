-- What analytics says of a chain: history by minute, cells by strike and expiration, and the live row.

CREATE TABLE gex_summary (
    underlying               text NOT NULL,
    timestamp                timestamptz NOT NULL,
    data_timestamp           timestamptz NOT NULL,
    spot                     double precision NOT NULL,
    dealer_model             text NOT NULL,
    greeks                   text NOT NULL,
    rate                     double precision,
    simulated                boolean NOT NULL,
    delayed                  boolean NOT NULL,
    call_gex                 double precision NOT NULL,
    put_gex                  double precision NOT NULL,
    net_gex                  double precision NOT NULL,
    gross_gex                double precision NOT NULL,
    gex_shares_per_dollar    double precision NOT NULL,
    dex                      double precision NOT NULL,
    vanna_exposure           double precision NOT NULL,
    charm_exposure           double precision NOT NULL,
    vega_exposure            double precision NOT NULL,
    volume_gex               double precision NOT NULL,
    call_open_interest       bigint NOT NULL,
    put_open_interest        bigint NOT NULL,
    call_volume              bigint NOT NULL,
    put_volume               bigint NOT NULL,
    gamma_flip               double precision,
    gamma_flip_status        text NOT NULL,
    gamma_flip_reason        text,
    flip_crossings           jsonb NOT NULL,
    call_wall                double precision,
    call_wall_gex            double precision,
    call_wall_share          double precision,
    call_wall_margin         double precision,
    put_wall                 double precision,
    put_wall_gex             double precision,
    put_wall_share           double precision,
    put_wall_margin          double precision,
    max_gamma_strike         double precision,
    max_gamma_gex            double precision,
    max_gamma_share          double precision,
    max_gamma_margin         double precision,
    level_variants           jsonb NOT NULL,
    max_pain                 double precision,
    max_pain_root            text,
    max_pain_expiration      date,
    max_pain_payout          double precision,
    max_pain_by_expiration   jsonb NOT NULL,
    put_call_ratio_oi        double precision,
    put_call_ratio_volume    double precision,
    expected_move            double precision,
    expected_move_expiration date,
    expected_move_atm_iv     double precision,
    expected_move_straddle   double precision,
    expected_move_years      double precision,
    contracts                integer NOT NULL,
    contracts_live           integer NOT NULL,
    contracts_used           integer NOT NULL,
    open_interest            bigint NOT NULL,
    open_interest_used       bigint NOT NULL,
    coverage_pct             double precision NOT NULL,
    stale_s                  double precision,
    excluded_adjusted        integer NOT NULL,
    iv_sources               jsonb NOT NULL,
    iv_failures              jsonb NOT NULL,
    forwards                 jsonb NOT NULL,
    notes                    jsonb NOT NULL,
    code_version             text NOT NULL,
    created_at               timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (underlying, timestamp),
    CONSTRAINT gex_summary_numbers CHECK (
        spot BETWEEN 0 AND 1e300 AND rate BETWEEN -1e300 AND 1e300
        AND call_gex BETWEEN -1e300 AND 1e300 AND put_gex BETWEEN -1e300 AND 1e300
        AND net_gex BETWEEN -1e300 AND 1e300 AND gross_gex BETWEEN -1e300 AND 1e300
        AND gex_shares_per_dollar BETWEEN -1e300 AND 1e300 AND dex BETWEEN -1e300 AND 1e300
        AND vanna_exposure BETWEEN -1e300 AND 1e300 AND charm_exposure BETWEEN -1e300 AND 1e300
        AND vega_exposure BETWEEN -1e300 AND 1e300 AND volume_gex BETWEEN -1e300 AND 1e300
        AND gamma_flip BETWEEN 0 AND 1e300 AND call_wall BETWEEN 0 AND 1e300 AND put_wall BETWEEN 0 AND 1e300
        AND max_gamma_strike BETWEEN 0 AND 1e300 AND max_pain BETWEEN 0 AND 1e300
        AND put_call_ratio_oi BETWEEN 0 AND 1e300 AND put_call_ratio_volume BETWEEN 0 AND 1e300
        AND expected_move BETWEEN 0 AND 1e300 AND expected_move_atm_iv BETWEEN 0 AND 1e300
        AND expected_move_straddle BETWEEN 0 AND 1e300
        AND coverage_pct BETWEEN 0 AND 100 AND stale_s BETWEEN -1e300 AND 1e300)
);

CREATE TABLE gex_calculations (
    underlying            text NOT NULL,
    timestamp             timestamptz NOT NULL,
    expiration            date NOT NULL,
    strike                numeric(12,4) NOT NULL,
    call_gex              double precision NOT NULL,
    put_gex               double precision NOT NULL,
    net_gex               double precision NOT NULL,
    gross_gex             double precision NOT NULL,
    gex_shares_per_dollar double precision NOT NULL,
    dex                   double precision NOT NULL,
    vanna_exposure        double precision NOT NULL,
    charm_exposure        double precision NOT NULL,
    vega_exposure         double precision NOT NULL,
    volume_gex            double precision NOT NULL,
    call_open_interest    bigint NOT NULL,
    put_open_interest     bigint NOT NULL,
    call_volume           bigint NOT NULL,
    put_volume            bigint NOT NULL,
    PRIMARY KEY (underlying, timestamp, expiration, strike),
    CONSTRAINT gex_calculations_numbers CHECK (
        strike BETWEEN 0 AND 99999999
        AND call_gex BETWEEN -1e300 AND 1e300 AND put_gex BETWEEN -1e300 AND 1e300
        AND net_gex BETWEEN -1e300 AND 1e300 AND gross_gex BETWEEN -1e300 AND 1e300
        AND gex_shares_per_dollar BETWEEN -1e300 AND 1e300 AND dex BETWEEN -1e300 AND 1e300
        AND vanna_exposure BETWEEN -1e300 AND 1e300 AND charm_exposure BETWEEN -1e300 AND 1e300
        AND vega_exposure BETWEEN -1e300 AND 1e300 AND volume_gex BETWEEN -1e300 AND 1e300)
) PARTITION BY RANGE (timestamp);

CREATE UNLOGGED TABLE gex_live (
    underlying     text PRIMARY KEY,
    data_timestamp timestamptz NOT NULL,
    simulated      boolean NOT NULL,
    payload        json NOT NULL,
    computed_at    timestamptz NOT NULL
);
