-- The whole schema in one file: `psql -v ON_ERROR_STOP=1 -f schema.sql` on an empty database gives
-- what the numbered migrations give.  A test compares the two.

BEGIN;

CREATE TABLE schema_migrations (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- Minutes, latest rows, and the state of the feed.
-- Every table is described in docs/schema.md.  A day here is a New York day: the one whose
-- cumulative volumes a row belongs to.

CREATE TYPE iv_source AS ENUM ('api', 'mid', 'last', 'default');
CREATE TYPE iv_status AS ENUM ('converged', 'below_intrinsic', 'above_maximum', 'no_quote', 'expired',
                               'below_iv_min', 'above_iv_max', 'no_convergence', 'bad_input', 'not_tried');

CREATE TABLE feed_state (
    single        boolean PRIMARY KEY DEFAULT true CHECK (single),
    provider      text NOT NULL,
    simulated     boolean NOT NULL,
    market_anchor timestamptz,
    wall_anchor   timestamptz,
    speed         double precision NOT NULL DEFAULT 1 CHECK (speed > 0 AND speed < 'Infinity'),
    announced_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE writers (
    underlying  text PRIMARY KEY,
    epoch       bigint NOT NULL DEFAULT 1,
    holder      text NOT NULL,
    acquired_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE ingest_batches (
    batch_id   uuid PRIMARY KEY,
    underlying text NOT NULL,
    timestamp  timestamptz NOT NULL,
    contracts  integer NOT NULL,
    rejected   integer NOT NULL,
    bars       integer NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ingest_batches_by_time ON ingest_batches (underlying, timestamp);

CREATE TABLE underlying_quotes (
    symbol      text NOT NULL CHECK (length(symbol) BETWEEN 1 AND 32),
    timestamp   timestamptz NOT NULL,
    open        numeric(12,4) NOT NULL,
    high        numeric(12,4) NOT NULL,
    low         numeric(12,4) NOT NULL,
    close       numeric(12,4) NOT NULL,
    up_volume   bigint NOT NULL CHECK (up_volume >= 0),
    down_volume bigint NOT NULL CHECK (down_volume >= 0),
    PRIMARY KEY (symbol, timestamp),
    -- NUMERIC knows NaN, and puts it above every number: an upper bound keeps it out
    CONSTRAINT underlying_quotes_prices CHECK (
        open BETWEEN 0 AND 99999999 AND high BETWEEN 0 AND 99999999
        AND low BETWEEN 0 AND 99999999 AND close BETWEEN 0 AND 99999999)
) PARTITION BY RANGE (timestamp);

CREATE TABLE chain_minutes (
    underlying text NOT NULL,
    timestamp  timestamptz NOT NULL,
    as_of      timestamptz NOT NULL,
    spot       double precision NOT NULL CHECK (spot > 0 AND spot < 'Infinity'),
    spot_time  timestamptz,
    contracts  integer NOT NULL,
    simulated  boolean NOT NULL,
    delayed    boolean NOT NULL,
    PRIMARY KEY (underlying, timestamp)
);

CREATE TABLE option_chains (
    option_symbol      text NOT NULL CHECK (length(option_symbol) BETWEEN 1 AND 32),
    timestamp          timestamptz NOT NULL,
    underlying         text NOT NULL,
    root               text NOT NULL,
    expiration         date NOT NULL,
    strike             numeric(12,4) NOT NULL,
    option_type        text NOT NULL CHECK (option_type IN ('C', 'P')),
    multiplier         integer NOT NULL CHECK (multiplier > 0),
    settlement         timestamptz NOT NULL,
    bid                numeric(12,4),
    ask                numeric(12,4),
    last               numeric(12,4),
    volume             bigint NOT NULL CHECK (volume >= 0),
    open_interest      bigint NOT NULL CHECK (open_interest >= 0),
    implied_volatility double precision,
    iv_source          iv_source,
    iv_status          iv_status NOT NULL,
    delta              double precision,
    gamma              double precision,
    theta              double precision,
    vega               double precision,
    forward            double precision,
    rate               double precision,
    event_time         timestamptz NOT NULL,
    received_time      timestamptz NOT NULL,
    PRIMARY KEY (option_symbol, timestamp),
    CONSTRAINT option_chains_prices CHECK (
        strike BETWEEN 0 AND 99999999 AND bid BETWEEN 0 AND 99999999
        AND ask BETWEEN 0 AND 99999999 AND last BETWEEN 0 AND 99999999),
    -- NaN sorts above every number, so BETWEEN refuses it together with the infinities
    CONSTRAINT option_chains_numbers CHECK (
        implied_volatility BETWEEN 0 AND 1e300 AND delta BETWEEN -1e300 AND 1e300
        AND gamma BETWEEN -1e300 AND 1e300 AND theta BETWEEN -1e300 AND 1e300
        AND vega BETWEEN -1e300 AND 1e300 AND forward BETWEEN 0 AND 1e300 AND rate BETWEEN -1e300 AND 1e300)
) PARTITION BY RANGE (timestamp);
CREATE INDEX option_chains_by_minute ON option_chains (underlying, timestamp);

-- The newest row of each followed contract: rewritten every second, rebuilt by the writer after a crash.
CREATE UNLOGGED TABLE option_latest (
    LIKE option_chains INCLUDING DEFAULTS INCLUDING CONSTRAINTS,
    PRIMARY KEY (option_symbol)
) WITH (fillfactor = 40);
CREATE INDEX option_latest_by_underlying ON option_latest (underlying);

CREATE UNLOGGED TABLE underlying_latest (
    underlying text PRIMARY KEY,
    timestamp  timestamptz NOT NULL,
    spot       double precision NOT NULL CHECK (spot > 0 AND spot < 'Infinity'),
    spot_time  timestamptz,
    simulated  boolean NOT NULL,
    delayed    boolean NOT NULL,
    writer     text NOT NULL
) WITH (fillfactor = 40);

-- Make the partition of a New York day.  Built beside the table and attached, which lets readers
-- and writers of other days go on; safe to call from several sessions at once.
CREATE FUNCTION ensure_day(parent text, day date) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    name text := format('%s_%s', parent, to_char(day, 'YYYYMMDD'));
BEGIN
    IF to_regclass(quote_ident(name)) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('zerogex ' || name));
    -- to_regclass may still remember that there was none; a query of the catalogue sees what came meanwhile
    IF EXISTS (SELECT FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
               WHERE inhparent = parent::regclass AND relname = name) THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', name, parent);
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, name,
                   day::timestamp AT TIME ZONE 'America/New_York',
                   (day + 1)::timestamp AT TIME ZONE 'America/New_York');
END
$$;

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

INSERT INTO schema_migrations (version, name) VALUES
    (1, '0001_minutes'),
    (2, '0002_analysis');

COMMIT;
