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
    announced_at  timestamptz NOT NULL DEFAULT now(),
    trouble       text,
    trouble_since timestamptz
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
    spot_age_s               double precision CHECK (spot_age_s BETWEEN -1e300 AND 1e300),
    chain_version            integer CHECK (chain_version >= 0),
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

-- What each minute traded, what option flow says of it, and what is known of the data's quality.
-- Formulas and their limits: docs/operations.md.

-- The day an option volume belongs to: it is reset at 09:30 New York.
CREATE FUNCTION option_day(instant timestamptz) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ((instant AT TIME ZONE 'America/New_York') - interval '9 hours 30 minutes')::date;

-- The day an underlying's volume belongs to: midnight to midnight New York.
CREATE FUNCTION trading_day(instant timestamptz) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (instant AT TIME ZONE 'America/New_York')::date;

CREATE INDEX underlying_quotes_by_day ON underlying_quotes (symbol, trading_day(timestamp));
CREATE INDEX chain_minutes_by_day ON chain_minutes (underlying, option_day(timestamp));

CREATE VIEW underlying_quotes_with_deltas AS
SELECT quote.*, trading_day(timestamp) AS trading_day,
       greatest(up_volume - coalesce(lag(up_volume) OVER day, 0), 0) AS up_volume_delta,
       greatest(down_volume - coalesce(lag(down_volume) OVER day, 0), 0) AS down_volume_delta,
       greatest(up_volume - coalesce(lag(up_volume) OVER day, 0), 0)
           + greatest(down_volume - coalesce(lag(down_volume) OVER day, 0), 0) AS volume_delta
FROM underlying_quotes AS quote
WINDOW day AS (PARTITION BY symbol, trading_day(timestamp) ORDER BY timestamp);

CREATE VIEW option_chains_with_deltas AS
SELECT chain.*, option_day(timestamp) AS trading_day, lag(timestamp) OVER day AS previous_timestamp,
       greatest(volume - coalesce(lag(volume) OVER day, 0), 0) AS volume_delta
FROM option_chains AS chain
WINDOW day AS (PARTITION BY option_symbol, underlying, option_day(timestamp) ORDER BY timestamp);

-- Each stored chain and the one before it on the same day.  `first`: the day was followed from its start,
-- so that a volume without an earlier reading was traded within this minute.
CREATE VIEW flow_minutes AS
SELECT underlying, timestamp, spot, option_day(timestamp) AS trading_day,
       lag(timestamp) OVER day AS previous_timestamp,
       lag(timestamp) OVER day IS NULL AND timestamp < opening + interval '5 minutes' AS first,
       coalesce(lag(timestamp) OVER day, opening - interval '1 minute') AS known_until,
       greatest(extract(epoch FROM timestamp - opening) / 60 + 1, 1)::float8 AS minutes_open
FROM chain_minutes
CROSS JOIN LATERAL (
    SELECT (option_day(timestamp) + time '09:30') AT TIME ZONE 'America/New_York' AS opening
) AS session
WHERE contracts > 0
WINDOW day AS (PARTITION BY underlying, option_day(timestamp) ORDER BY timestamp);

-- What each contract traded in each minute; contracts that did not trade have no row.
-- `volume` is attributed to the minute; `unplaced_volume` was traded some time since 09:30, or in more than five minutes.
-- `direction` is inferred from where the last price lies between bid (-1) and ask (+1); `confidence` says how far to trust it.
CREATE VIEW option_flow AS
SELECT minute.underlying, minute.timestamp, minute.trading_day, minute.spot,
       o.option_symbol, o.expiration, o.strike, o.option_type, o.multiplier, o.bid, o.ask, o.last, o.open_interest,
       o.implied_volatility, o.delta, o.gamma, o.theta, o.vega, o.typical_volume, o.average_iv,
       CASE WHEN known.placed THEN o.traded ELSE 0 END AS volume,
       CASE WHEN known.placed THEN 0 ELSE o.traded END AS unplaced_volume,
       CASE WHEN known.placed THEN o.traded * o.multiplier * known.price ELSE 0 END AS premium,
       known.direction,
       CASE WHEN known.placed THEN abs(known.direction) / greatest(known.span_minutes, 1) ELSE 0 END AS confidence
FROM flow_minutes AS minute
CROSS JOIN LATERAL (
    SELECT now.*, before.option_symbol IS NOT NULL AS seen_before,
           greatest(now.volume - coalesce(before.volume, 0), 0) AS traded,
           greatest(sum(now.volume) OVER () / greatest(count(*) FILTER (WHERE now.volume > 0) OVER (), 1)::float8
                    / minute.minutes_open, 1) AS typical_volume,
           avg(now.implied_volatility) OVER () AS average_iv
    FROM option_chains AS now
    LEFT JOIN option_chains AS before
           ON before.option_symbol = now.option_symbol AND before.underlying = minute.underlying
          AND before.timestamp = minute.previous_timestamp
    WHERE now.underlying = minute.underlying AND now.timestamp = minute.timestamp
) AS o
CROSS JOIN LATERAL (
    SELECT (o.seen_before OR minute.first) AND minute.timestamp <= minute.known_until + interval '5 minutes' AS placed,
           (extract(epoch FROM minute.timestamp - minute.known_until) / 60)::float8 AS span_minutes,
           coalesce(o.last, CASE WHEN o.bid <= o.ask THEN (o.bid + o.ask) / 2 END, 0)::float8 AS price,
           CASE WHEN o.bid < o.ask AND o.last IS NOT NULL
                THEN least(greatest((2 * o.last - o.bid - o.ask) / (o.ask - o.bid), -1), 1)::float8
                ELSE 0 END AS direction
) AS known
WHERE o.traded > 0;

CREATE FUNCTION sentiment(net_flow float8, premium float8, confidence float8) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN premium IS NULL OR premium = 0 THEN 'no flow'
    WHEN confidence < 0.2 THEN 'unclear'
    WHEN net_flow > 0.1 * premium THEN 'bullish'
    WHEN net_flow < -0.1 * premium THEN 'bearish'
    ELSE 'neutral'
END;

CREATE VIEW flow_by_type AS
SELECT *, sentiment(net_flow, call_premium + put_premium, confidence) AS sentiment
FROM (
    SELECT underlying, timestamp, trading_day, min(spot) AS spot,
           coalesce(sum(volume) FILTER (WHERE option_type = 'C'), 0)::bigint AS call_volume,
           coalesce(sum(volume) FILTER (WHERE option_type = 'P'), 0)::bigint AS put_volume,
           coalesce(sum(premium) FILTER (WHERE option_type = 'C'), 0) AS call_premium,
           coalesce(sum(premium) FILTER (WHERE option_type = 'P'), 0) AS put_premium,
           sum(volume) FILTER (WHERE option_type = 'P')
               / nullif(sum(volume) FILTER (WHERE option_type = 'C'), 0)::float8 AS put_call_ratio,
           sum(premium * direction * CASE option_type WHEN 'C' THEN 1 ELSE -1 END) AS net_flow,
           coalesce(sum(premium * confidence) / nullif(sum(premium), 0), 0) AS confidence,
           sum(unplaced_volume)::bigint AS unplaced_volume
    FROM option_flow
    GROUP BY underlying, timestamp, trading_day
) AS flow;

CREATE VIEW flow_by_strike AS
SELECT underlying, timestamp, trading_day, strike, min(spot) AS spot,
       coalesce(sum(volume) FILTER (WHERE option_type = 'C'), 0)::bigint AS call_volume,
       coalesce(sum(volume) FILTER (WHERE option_type = 'P'), 0)::bigint AS put_volume,
       coalesce(sum(premium) FILTER (WHERE option_type = 'C'), 0) AS call_premium,
       coalesce(sum(premium) FILTER (WHERE option_type = 'P'), 0) AS put_premium,
       sum(premium * direction * CASE option_type WHEN 'C' THEN 1 ELSE -1 END) AS net_flow,
       coalesce(sum(premium * confidence) / nullif(sum(premium), 0), 0) AS confidence,
       avg(implied_volatility) AS average_iv, avg(delta) AS average_delta, avg(gamma) AS average_gamma,
       avg(theta) AS average_theta, avg(vega) AS average_vega
FROM option_flow
WHERE volume > 0
GROUP BY underlying, timestamp, trading_day, strike;

CREATE VIEW flow_by_expiration AS
SELECT underlying, timestamp, trading_day, expiration, expiration - trading_day(timestamp) AS dte,
       coalesce(sum(volume) FILTER (WHERE option_type = 'C'), 0)::bigint AS call_volume,
       coalesce(sum(volume) FILTER (WHERE option_type = 'P'), 0)::bigint AS put_volume,
       coalesce(sum(premium) FILTER (WHERE option_type = 'C'), 0) AS call_premium,
       coalesce(sum(premium) FILTER (WHERE option_type = 'P'), 0) AS put_premium,
       sum(premium * direction * CASE option_type WHEN 'C' THEN 1 ELSE -1 END) AS net_flow,
       coalesce(sum(premium * confidence) / nullif(sum(premium), 0), 0) AS confidence,
       avg(implied_volatility) AS average_iv, avg(theta) AS average_theta
FROM option_flow
WHERE volume > 0
GROUP BY underlying, timestamp, trading_day, expiration;

-- Prints worth a second look.  The score has five parts, each relative to this underlying on this day:
-- size 4 (a hundred times the typical volume), new positions 2, distance 2, volatility 1, share of the minute's premium 1.
CREATE VIEW flow_smart_money AS
SELECT underlying, timestamp, trading_day, spot, option_symbol, expiration, strike, option_type, volume, premium,
       open_interest, last, implied_volatility, delta, typical_volume,
       CASE WHEN volume >= 500 THEN 500 WHEN volume >= 200 THEN 200 WHEN volume >= 100 THEN 100 END AS block,
       CASE WHEN implied_volatility > 1.0 THEN 100 WHEN implied_volatility > 0.6 THEN 60
            WHEN implied_volatility > 0.4 THEN 40 END AS high_iv_pct,
       deep_otm, least(points, 10) AS unusual_score, direction, confidence
FROM (
    SELECT flow.*, otm AND (abs(delta) < 0.10 OR (delta IS NULL AND abs(strike::float8 / spot - 1) > 0.10)) AS deep_otm,
           4 * least(ln(greatest(volume / typical_volume, 1)) / ln(100::float8), 1)
               + 2 * volume / (volume + open_interest)::float8
               + CASE WHEN otm AND delta IS NOT NULL THEN 2 * greatest(1 - abs(delta) / 0.5, 0) ELSE 0 END
               + coalesce(least(greatest(implied_volatility / nullif(average_iv, 0) - 1, 0), 1), 0)
               + coalesce(premium / nullif(sum(premium) OVER (PARTITION BY underlying, timestamp, trading_day), 0), 0)
               AS points
    FROM option_flow AS flow
    CROSS JOIN LATERAL (
        SELECT CASE option_type WHEN 'C' THEN strike::float8 > spot ELSE strike::float8 < spot END AS otm
    ) AS side
    WHERE volume > 0
) AS scored
WHERE volume >= 100 OR (volume >= 2 * typical_volume AND (implied_volatility > 0.4 OR deep_otm));

CREATE VIEW flow_buying_pressure AS
SELECT symbol, timestamp, trading_day, close, change, up_volume_delta AS up_volume, down_volume_delta AS down_volume,
       buying_pressure_pct,
       CASE
           WHEN buying_pressure_pct IS NULL THEN 'no volume'
           WHEN change > 0 AND buying_pressure_pct >= 60 THEN 'strong up'
           WHEN change < 0 AND buying_pressure_pct <= 40 THEN 'strong down'
           WHEN change > 0 AND buying_pressure_pct >= 50 THEN 'up'
           WHEN change < 0 AND buying_pressure_pct <= 50 THEN 'down'
           WHEN change = 0 THEN 'flat'
           ELSE 'divergent'
       END AS momentum,
       buying_pressure_pct - lag(buying_pressure_pct) OVER day AS pressure_change,
       volume_delta - lag(volume_delta) OVER day AS volume_change
FROM (
    SELECT *, (close - coalesce(lag(close) OVER before, open))::float8 AS change,
           100.0::float8 * up_volume_delta / nullif(volume_delta, 0) AS buying_pressure_pct
    FROM underlying_quotes_with_deltas
    WINDOW before AS (PARTITION BY symbol, trading_day ORDER BY timestamp)
) AS minute
WINDOW day AS (PARTITION BY symbol, trading_day ORDER BY timestamp);

-- The newest minutes of a day (NULL: the newest day), of one underlying or (NULL) of each: where a question about flow looks.
CREATE FUNCTION flow_span(symbol text, day date, minutes integer)
RETURNS TABLE (underlying text, trading_day date, since timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT chain.underlying, option_day(max(chain.timestamp)),
           max(chain.timestamp) - make_interval(mins => minutes - 1)
    FROM chain_minutes AS chain
    WHERE (symbol IS NULL OR chain.underlying = symbol) AND (day IS NULL OR option_day(chain.timestamp) = day)
      AND chain.contracts > 0
    GROUP BY chain.underlying
$$;

-- Findings of `zerogex quality`: one row a finding, kept up to date while its session is looked at again.
CREATE TABLE data_quality_log (
    underlying  text NOT NULL,
    trading_day date NOT NULL,
    kind        text NOT NULL,
    subject     text NOT NULL,
    started_at  timestamptz NOT NULL,
    ended_at    timestamptz,
    severity    text NOT NULL CHECK (severity IN ('info', 'warning', 'error')),
    affected    bigint NOT NULL CHECK (affected >= 0),
    total       bigint NOT NULL CHECK (total >= 0),
    message     text NOT NULL,
    found_at    timestamptz NOT NULL DEFAULT now(),
    checked_at  timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz,
    PRIMARY KEY (underlying, trading_day, kind, subject, started_at)
);

-- What ingest measured of itself: one row a minute and metric.
CREATE TABLE ingestion_metrics (
    underlying text NOT NULL,
    timestamp  timestamptz NOT NULL,
    metric     text NOT NULL,
    value      double precision NOT NULL CHECK (value BETWEEN -1e300 AND 1e300),
    PRIMARY KEY (underlying, timestamp, metric)
);

-- Who may ask over the network.  A key itself is never stored: only its SHA-256.

CREATE TABLE api_keys (
    key_id              text PRIMARY KEY CHECK (key_id ~ '^[a-z0-9]{8,16}$'),
    name                text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    digest              bytea NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    scopes              text[] NOT NULL CHECK (cardinality(scopes) > 0),
    requests_per_minute integer NOT NULL CHECK (requests_per_minute > 0),
    created_at          timestamptz NOT NULL DEFAULT now(),
    expires_at          timestamptz,
    revoked_at          timestamptz,
    last_used_at        timestamptz
);

-- What ingest knows that it missed: minutes that are not stored, or in which nothing new was heard.

CREATE TABLE data_gaps (
    underlying  text NOT NULL,
    what        text NOT NULL CHECK (what IN ('bars', 'chains')),
    subject     text NOT NULL,
    started_at  timestamptz NOT NULL,
    ended_at    timestamptz NOT NULL CHECK (ended_at > started_at),
    reason      text NOT NULL
                CHECK (reason IN ('stopped', 'paused', 'upstream_down', 'rate_limited', 'silent', 'unheard')),
    contracts   integer NOT NULL CHECK (contracts >= 0),
    declared_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (underlying, what, subject, reason, started_at)
);
CREATE INDEX data_gaps_by_time ON data_gaps (underlying, ended_at);

-- What the flow of each minute adds up to, written with the minute, so that a whole day answers at once.
-- The views keep their names, columns and meaning.  A minute whose sums are missing, or rest on another minute
-- before it than the one now stored, is computed when asked: slower, never empty, never stale.

CREATE TABLE flow_totals (
    underlying         text NOT NULL,
    trading_day        date NOT NULL,
    timestamp          timestamptz NOT NULL,
    previous_timestamp timestamptz,
    contracts_traded   integer NOT NULL,
    spot               double precision NOT NULL,
    call_volume        bigint NOT NULL,
    put_volume         bigint NOT NULL,
    call_premium       double precision NOT NULL,
    put_premium        double precision NOT NULL,
    put_call_ratio     double precision,
    net_flow           double precision,
    confidence         double precision NOT NULL,
    unplaced_volume    bigint NOT NULL,
    PRIMARY KEY (underlying, trading_day, timestamp)
);

CREATE TABLE flow_strikes (
    underlying    text NOT NULL,
    trading_day   date NOT NULL,
    timestamp     timestamptz NOT NULL,
    strike        numeric(12,4) NOT NULL,
    spot          double precision NOT NULL,
    call_volume   bigint NOT NULL,
    put_volume    bigint NOT NULL,
    call_premium  double precision NOT NULL,
    put_premium   double precision NOT NULL,
    net_flow      double precision,
    confidence    double precision NOT NULL,
    average_iv    double precision,
    average_delta double precision,
    average_gamma double precision,
    average_theta double precision,
    average_vega  double precision,
    PRIMARY KEY (underlying, trading_day, timestamp, strike)
);

CREATE TABLE flow_expirations (
    underlying    text NOT NULL,
    trading_day   date NOT NULL,
    timestamp     timestamptz NOT NULL,
    expiration    date NOT NULL,
    call_volume   bigint NOT NULL,
    put_volume    bigint NOT NULL,
    call_premium  double precision NOT NULL,
    put_premium   double precision NOT NULL,
    net_flow      double precision,
    confidence    double precision NOT NULL,
    average_iv    double precision,
    average_theta double precision,
    PRIMARY KEY (underlying, trading_day, timestamp, expiration)
);

CREATE TABLE flow_prints (
    underlying         text NOT NULL,
    trading_day        date NOT NULL,
    timestamp          timestamptz NOT NULL,
    option_symbol      text NOT NULL,
    spot               double precision NOT NULL,
    expiration         date NOT NULL,
    strike             numeric(12,4) NOT NULL,
    option_type        text NOT NULL,
    volume             bigint NOT NULL,
    premium            double precision NOT NULL,
    open_interest      bigint NOT NULL,
    last               numeric(12,4),
    implied_volatility double precision,
    delta              double precision,
    typical_volume     double precision NOT NULL,
    deep_otm           boolean,
    unusual_score      double precision NOT NULL,
    direction          double precision NOT NULL,
    confidence         double precision NOT NULL,
    PRIMARY KEY (underlying, trading_day, timestamp, option_symbol)
);

-- The cells of gex_calculations, all expirations summed: what a heat map through the day reads.
CREATE TABLE gex_strikes (
    underlying            text NOT NULL,
    timestamp             timestamptz NOT NULL,
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
    PRIMARY KEY (underlying, timestamp, strike)
);

-- When an option's day begins: the instant at which its cumulative volume is reset.
CREATE FUNCTION opening(day date) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (day + time '09:30') AT TIME ZONE 'America/New_York';

-- Each stored chain and the one before it on the same day.  `first`: the day was followed from its start, so that a
-- volume without an earlier reading was traded within this minute.  `summed`: flow_totals and its sisters have it.
CREATE OR REPLACE VIEW flow_minutes AS
SELECT minute.*, totals.timestamp IS NOT NULL AS summed
FROM (
    SELECT underlying, timestamp, spot, option_day(timestamp) AS trading_day,
           lag(timestamp) OVER day AS previous_timestamp,
           lag(timestamp) OVER day IS NULL AND timestamp < opening + interval '5 minutes' AS first,
           coalesce(lag(timestamp) OVER day, opening - interval '1 minute') AS known_until,
           greatest(extract(epoch FROM timestamp - opening) / 60 + 1, 1)::float8 AS minutes_open
    FROM chain_minutes
    CROSS JOIN LATERAL (SELECT opening(option_day(timestamp)) AS opening) AS session
    WHERE contracts > 0
    WINDOW day AS (PARTITION BY underlying, option_day(timestamp) ORDER BY timestamp)
) AS minute
LEFT JOIN flow_totals AS totals
       ON totals.underlying = minute.underlying AND totals.trading_day = minute.trading_day
      AND totals.timestamp = minute.timestamp AND totals.spot = minute.spot
      AND totals.previous_timestamp IS NOT DISTINCT FROM minute.previous_timestamp;

-- What each contract traded in a minute; the other arguments are that minute's row of flow_minutes.
-- Sums over the chain go in the order of symbols: the same rows give the same bits, wherever they lie.
CREATE FUNCTION option_flow_of(symbol text, minute timestamptz, day date, spot float8, previous timestamptz,
                               first boolean, known_until timestamptz, minutes_open float8)
RETURNS TABLE (underlying text, "timestamp" timestamptz, trading_day date, spot float8, option_symbol text,
               expiration date, strike numeric, option_type text, multiplier integer, bid numeric, ask numeric,
               last numeric, open_interest bigint, implied_volatility float8, delta float8, gamma float8, theta float8,
               vega float8, typical_volume float8, average_iv float8, volume bigint, unplaced_volume bigint,
               premium float8, direction float8, confidence float8)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT $1, $2, $3, $4, o.option_symbol, o.expiration, o.strike, o.option_type, o.multiplier, o.bid, o.ask, o.last,
           o.open_interest, o.implied_volatility, o.delta, o.gamma, o.theta, o.vega, o.typical_volume, o.average_iv,
           CASE WHEN known.placed THEN o.traded ELSE 0 END,
           CASE WHEN known.placed THEN 0 ELSE o.traded END,
           CASE WHEN known.placed THEN o.traded * o.multiplier * known.price ELSE 0 END,
           known.direction,
           CASE WHEN known.placed THEN abs(known.direction) / greatest(known.span_minutes, 1) ELSE 0 END
    FROM (
        SELECT now.*, before.option_symbol IS NOT NULL AS seen_before,
               greatest(now.volume - coalesce(before.volume, 0), 0) AS traded,
               greatest(sum(now.volume) OVER () / greatest(count(*) FILTER (WHERE now.volume > 0) OVER (), 1)::float8
                        / $8, 1) AS typical_volume,
               avg(now.implied_volatility) OVER chain AS average_iv
        FROM option_chains AS now
        LEFT JOIN option_chains AS before
               ON before.option_symbol = now.option_symbol AND before.underlying = $1 AND before.timestamp = $5
        WHERE now.underlying = $1 AND now.timestamp = $2
        WINDOW chain AS (ORDER BY now.option_symbol COLLATE "C"
                         ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
    ) AS o
    CROSS JOIN LATERAL (
        SELECT (o.seen_before OR $6) AND $2 <= $7 + interval '5 minutes' AS placed,
               (extract(epoch FROM $2 - $7) / 60)::float8 AS span_minutes,
               coalesce(o.last, CASE WHEN o.bid <= o.ask THEN (o.bid + o.ask) / 2 END, 0)::float8 AS price,
               CASE WHEN o.bid < o.ask AND o.last IS NOT NULL
                    THEN least(greatest((2 * o.last - o.bid - o.ask) / (o.ask - o.bid), -1), 1)::float8
                    ELSE 0 END AS direction
    ) AS known
    WHERE o.traded > 0
$$;

-- What each contract traded in each minute; contracts that did not trade have no row.
-- `volume` is attributed to the minute; `unplaced_volume` was traded some time since 09:30, or in more than five minutes.
-- `direction` is inferred from where the last price lies between bid (-1) and ask (+1); `confidence` says how far to trust it.
CREATE OR REPLACE VIEW option_flow AS
SELECT flow.underlying, flow.timestamp, flow.trading_day, flow.spot, flow.option_symbol, flow.expiration,
       flow.strike::numeric(12,4) AS strike, flow.option_type, flow.multiplier, flow.bid::numeric(12,4) AS bid,
       flow.ask::numeric(12,4) AS ask, flow.last::numeric(12,4) AS last, flow.open_interest, flow.implied_volatility,
       flow.delta, flow.gamma, flow.theta, flow.vega, flow.typical_volume, flow.average_iv, flow.volume,
       flow.unplaced_volume, flow.premium, flow.direction, flow.confidence
FROM flow_minutes AS minute
CROSS JOIN LATERAL option_flow_of(minute.underlying, minute.timestamp, minute.trading_day, minute.spot,
                                  minute.previous_timestamp, minute.first, minute.known_until, minute.minutes_open) AS flow;

-- Everything the views say of one minute: one row of totals, or none where no chain is stored.
-- The unusual score has five parts, each relative to this underlying on this day: size 4 (a hundred times the
-- typical volume), new positions 2, distance 2, volatility 1, share of the minute's premium 1.
-- Planned anew each time: with the two instants known, the planner looks at their partitions alone.  Of a partition
-- that is minutes old it knows nothing yet, expects one row, and would compare 8,000 with 8,000 in a nested loop.
CREATE FUNCTION flow_of_minute(symbol text, instant timestamptz, OUT totals flow_totals[], OUT strikes flow_strikes[],
                               OUT expirations flow_expirations[], OUT prints flow_prints[])
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_custom_plan SET enable_nestloop = off AS $$
DECLARE
    minute record;
BEGIN
    SELECT * INTO minute FROM flow_minutes
    WHERE flow_minutes.underlying = symbol AND flow_minutes.trading_day = option_day(instant)
      AND flow_minutes.timestamp = instant;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    WITH traded AS MATERIALIZED (
        SELECT flow.*, CASE flow.option_type WHEN 'C' THEN 1 ELSE -1 END AS side
        FROM option_flow_of(symbol, instant, minute.trading_day, minute.spot, minute.previous_timestamp, minute.first,
                            minute.known_until, minute.minutes_open) AS flow
    ), by_symbol AS MATERIALIZED (
        SELECT * FROM traded ORDER BY option_symbol COLLATE "C"
    ), scored AS (
        SELECT one.*, otm AND (abs(delta) < 0.10 OR (delta IS NULL AND abs(strike::float8 / spot - 1) > 0.10)) AS deep_otm,
               4 * least(ln(greatest(volume / typical_volume, 1)) / ln(100::float8), 1)
                   + 2 * volume / (volume + open_interest)::float8
                   + CASE WHEN otm AND delta IS NOT NULL THEN 2 * greatest(1 - abs(delta) / 0.5, 0) ELSE 0 END
                   + coalesce(least(greatest(implied_volatility / nullif(average_iv, 0) - 1, 0), 1), 0)
                   + coalesce(premium / nullif((SELECT sum(premium) FROM by_symbol WHERE volume > 0), 0), 0) AS points
        FROM by_symbol AS one
        CROSS JOIN LATERAL (
            SELECT CASE option_type WHEN 'C' THEN strike::float8 > spot ELSE strike::float8 < spot END AS otm
        ) AS money
        WHERE volume > 0
    )
    SELECT ARRAY(
        SELECT (symbol, minute.trading_day, instant, minute.previous_timestamp, count(*), minute.spot,
                coalesce(sum(volume) FILTER (WHERE option_type = 'C'), 0),
                coalesce(sum(volume) FILTER (WHERE option_type = 'P'), 0),
                coalesce(sum(premium) FILTER (WHERE option_type = 'C'), 0),
                coalesce(sum(premium) FILTER (WHERE option_type = 'P'), 0),
                sum(volume) FILTER (WHERE option_type = 'P')
                    / nullif(sum(volume) FILTER (WHERE option_type = 'C'), 0)::float8,
                sum(premium * direction * side),
                coalesce(sum(premium * confidence) / nullif(sum(premium), 0), 0),
                coalesce(sum(unplaced_volume), 0))::flow_totals
        FROM by_symbol
    ), ARRAY(
        SELECT (symbol, minute.trading_day, instant, strike, minute.spot,
                coalesce(sum(volume) FILTER (WHERE option_type = 'C'), 0),
                coalesce(sum(volume) FILTER (WHERE option_type = 'P'), 0),
                coalesce(sum(premium) FILTER (WHERE option_type = 'C'), 0),
                coalesce(sum(premium) FILTER (WHERE option_type = 'P'), 0),
                sum(premium * direction * side),
                coalesce(sum(premium * confidence) / nullif(sum(premium), 0), 0),
                avg(implied_volatility), avg(delta), avg(gamma), avg(theta), avg(vega))::flow_strikes
        FROM (SELECT * FROM by_symbol WHERE volume > 0 ORDER BY strike, option_symbol COLLATE "C") AS sorted
        GROUP BY strike
        ORDER BY strike
    ), ARRAY(
        SELECT (symbol, minute.trading_day, instant, expiration,
                coalesce(sum(volume) FILTER (WHERE option_type = 'C'), 0),
                coalesce(sum(volume) FILTER (WHERE option_type = 'P'), 0),
                coalesce(sum(premium) FILTER (WHERE option_type = 'C'), 0),
                coalesce(sum(premium) FILTER (WHERE option_type = 'P'), 0),
                sum(premium * direction * side),
                coalesce(sum(premium * confidence) / nullif(sum(premium), 0), 0),
                avg(implied_volatility), avg(theta))::flow_expirations
        FROM (SELECT * FROM by_symbol WHERE volume > 0 ORDER BY expiration, option_symbol COLLATE "C") AS sorted
        GROUP BY expiration
        ORDER BY expiration
    ), ARRAY(
        SELECT (symbol, minute.trading_day, instant, option_symbol, minute.spot, expiration, strike, option_type, volume,
                premium, open_interest, last, implied_volatility, delta, typical_volume, deep_otm, least(points, 10),
                direction, confidence)::flow_prints
        FROM scored
        WHERE volume >= 100 OR (volume >= 2 * typical_volume AND (implied_volatility > 0.4 OR deep_otm))
        ORDER BY option_symbol COLLATE "C"
    ) INTO totals, strikes, expirations, prints;
END
$$;

-- Write the sums of one minute anew.
CREATE FUNCTION sum_flow_of_minute(symbol text, instant timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    found record;
BEGIN
    -- two transactions that write neighbours at once would not see each other's minute
    PERFORM pg_advisory_xact_lock(hashtext('zerogex flow'), hashtext(symbol));
    DELETE FROM flow_totals AS t WHERE t.underlying = symbol AND t.trading_day = option_day(instant) AND t.timestamp = instant;
    DELETE FROM flow_strikes AS t WHERE t.underlying = symbol AND t.trading_day = option_day(instant) AND t.timestamp = instant;
    DELETE FROM flow_expirations AS t WHERE t.underlying = symbol AND t.trading_day = option_day(instant) AND t.timestamp = instant;
    DELETE FROM flow_prints AS t WHERE t.underlying = symbol AND t.trading_day = option_day(instant) AND t.timestamp = instant;
    SELECT * INTO found FROM flow_of_minute(symbol, instant);
    INSERT INTO flow_totals SELECT one.* FROM unnest(found.totals) AS one;
    INSERT INTO flow_strikes SELECT one.* FROM unnest(found.strikes) AS one;
    INSERT INTO flow_expirations SELECT one.* FROM unnest(found.expirations) AS one;
    INSERT INTO flow_prints SELECT one.* FROM unnest(found.prints) AS one;
END
$$;

-- Write the sums of a minute anew, and of the next minute of its day, whose flow is the difference to it.
CREATE FUNCTION sum_flow(symbol text, instant timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    next timestamptz;
BEGIN
    PERFORM sum_flow_of_minute(symbol, instant);
    SELECT min(timestamp) INTO next FROM chain_minutes
    WHERE underlying = symbol AND timestamp > instant AND timestamp < opening(option_day(instant) + 1) AND contracts > 0;
    IF next IS NOT NULL THEN
        PERFORM sum_flow_of_minute(symbol, next);
    END IF;
END
$$;

-- Each view takes a minute's rows from the tables where it is summed, and computes them where it is not.
CREATE OR REPLACE VIEW flow_by_type AS
SELECT minute.underlying, minute.timestamp, minute.trading_day, sums.spot, call_volume, put_volume, call_premium,
       put_premium, put_call_ratio, net_flow, confidence, unplaced_volume,
       sentiment(net_flow, call_premium + put_premium, confidence) AS sentiment
FROM flow_minutes AS minute CROSS JOIN LATERAL (
    SELECT kept.* FROM flow_totals AS kept
    WHERE minute.summed AND kept.underlying = minute.underlying AND kept.trading_day = minute.trading_day
      AND kept.timestamp = minute.timestamp
    UNION ALL
    SELECT computed.* FROM flow_of_minute(minute.underlying, minute.timestamp) AS found, unnest(found.totals) AS computed
    WHERE NOT minute.summed
) AS sums
WHERE contracts_traded > 0;

CREATE OR REPLACE VIEW flow_by_strike AS
SELECT minute.underlying, minute.timestamp, minute.trading_day, strike, sums.spot, call_volume, put_volume,
       call_premium, put_premium, net_flow, confidence, average_iv, average_delta, average_gamma, average_theta,
       average_vega
FROM flow_minutes AS minute CROSS JOIN LATERAL (
    SELECT kept.* FROM flow_strikes AS kept
    WHERE minute.summed AND kept.underlying = minute.underlying AND kept.trading_day = minute.trading_day
      AND kept.timestamp = minute.timestamp
    UNION ALL
    SELECT computed.* FROM flow_of_minute(minute.underlying, minute.timestamp) AS found, unnest(found.strikes) AS computed
    WHERE NOT minute.summed
) AS sums;

CREATE OR REPLACE VIEW flow_by_expiration AS
SELECT minute.underlying, minute.timestamp, minute.trading_day, expiration,
       expiration - trading_day(minute.timestamp) AS dte, call_volume, put_volume, call_premium, put_premium, net_flow,
       confidence, average_iv, average_theta
FROM flow_minutes AS minute CROSS JOIN LATERAL (
    SELECT kept.* FROM flow_expirations AS kept
    WHERE minute.summed AND kept.underlying = minute.underlying AND kept.trading_day = minute.trading_day
      AND kept.timestamp = minute.timestamp
    UNION ALL
    SELECT computed.* FROM flow_of_minute(minute.underlying, minute.timestamp) AS found, unnest(found.expirations) AS computed
    WHERE NOT minute.summed
) AS sums;

-- Prints worth a second look.
CREATE OR REPLACE VIEW flow_smart_money AS
SELECT minute.underlying, minute.timestamp, minute.trading_day, sums.spot, option_symbol, expiration, strike,
       option_type, volume, premium, open_interest, last, implied_volatility, delta, typical_volume,
       CASE WHEN volume >= 500 THEN 500 WHEN volume >= 200 THEN 200 WHEN volume >= 100 THEN 100 END AS block,
       CASE WHEN implied_volatility > 1.0 THEN 100 WHEN implied_volatility > 0.6 THEN 60
            WHEN implied_volatility > 0.4 THEN 40 END AS high_iv_pct,
       deep_otm, unusual_score, direction, confidence
FROM flow_minutes AS minute CROSS JOIN LATERAL (
    SELECT kept.* FROM flow_prints AS kept
    WHERE minute.summed AND kept.underlying = minute.underlying AND kept.trading_day = minute.trading_day
      AND kept.timestamp = minute.timestamp
    UNION ALL
    SELECT computed.* FROM flow_of_minute(minute.underlying, minute.timestamp) AS found, unnest(found.prints) AS computed
    WHERE NOT minute.summed
) AS sums;

-- The newest minutes of a day (NULL: the newest day), of one underlying or (NULL) of each: where a question about flow
-- looks.  One index probe an underlying, however long its history.
CREATE OR REPLACE FUNCTION flow_span(symbol text, day date, minutes integer)
RETURNS TABLE (underlying text, trading_day date, since timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH RECURSIVE known AS (
        (SELECT chain.underlying FROM chain_minutes AS chain
         WHERE symbol IS NULL OR chain.underlying = symbol ORDER BY chain.underlying LIMIT 1)
        UNION ALL
        SELECT (SELECT chain.underlying FROM chain_minutes AS chain
                WHERE chain.underlying > known.underlying ORDER BY chain.underlying LIMIT 1)
        FROM known WHERE symbol IS NULL AND known.underlying IS NOT NULL
    )
    SELECT known.underlying, option_day(newest.timestamp), newest.timestamp - make_interval(mins => minutes - 1)
    FROM known CROSS JOIN LATERAL (
        SELECT chain.timestamp FROM chain_minutes AS chain
        WHERE chain.underlying = known.underlying AND chain.contracts > 0
          AND chain.timestamp >= coalesce(opening(day), '-infinity') AND chain.timestamp < coalesce(opening(day + 1), 'infinity')
        ORDER BY chain.timestamp DESC LIMIT 1
    ) AS newest
$$;

INSERT INTO gex_strikes
SELECT underlying, timestamp, strike, sum(call_gex), sum(put_gex), sum(net_gex), sum(gross_gex),
       sum(gex_shares_per_dollar), sum(dex), sum(vanna_exposure), sum(charm_exposure), sum(vega_exposure),
       sum(volume_gex), sum(call_open_interest), sum(put_open_interest), sum(call_volume), sum(put_volume)
FROM gex_calculations
GROUP BY underlying, timestamp, strike
ORDER BY underlying, timestamp, strike;

-- The newest day of each underlying is summed here; earlier ones are computed when asked, until
-- `zerogex db refresh-views` has summed them too.
SELECT sum_flow_of_minute(minute.underlying, minute.timestamp)
FROM flow_span(NULL, NULL, 1) AS newest JOIN flow_minutes AS minute USING (underlying, trading_day)
ORDER BY minute.underlying, minute.timestamp;

-- What the feed's faults need to be known by every process: requests to the vendor counted for the whole account,
-- why the feed cannot be heard, and how old the price was that an analysis stands on.

CREATE TABLE vendor_requests (
    account       text NOT NULL,
    resource      text NOT NULL,
    sent          timestamptz[] NOT NULL DEFAULT '{}',
    blocked_until timestamptz NOT NULL DEFAULT '-infinity',
    granted       boolean NOT NULL DEFAULT false,
    PRIMARY KEY (account, resource)
);

-- What people want to be told of, what they were told, and how far each message has come: an outbox, so that a channel
-- that is away costs time and never a message.

CREATE TABLE alert_rules (
    rule_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    underlying      text NOT NULL CHECK (length(underlying) BETWEEN 1 AND 10),
    field           text NOT NULL,
    direction       text NOT NULL CHECK (direction IN ('above', 'below', 'crosses')),
    threshold       double precision CHECK (threshold BETWEEN -1e300 AND 1e300),
    threshold_field text,
    band            double precision NOT NULL CHECK (band BETWEEN 0 AND 1e300),
    band_percent    boolean NOT NULL,
    cooldown_s      double precision NOT NULL CHECK (cooldown_s BETWEEN 0 AND 86400),
    created_at      timestamptz NOT NULL DEFAULT now(),
    CHECK (num_nonnulls(threshold, threshold_field) = 1)
);

CREATE TABLE alert_standings (
    rule_id   text PRIMARY KEY,
    side      smallint CHECK (side IN (-1, 1)),
    crossings integer NOT NULL CHECK (crossings >= 0),
    told_at   timestamptz
);

CREATE TABLE alerts (
    alert_id   text PRIMARY KEY,
    rule_id    text NOT NULL,
    underlying text NOT NULL,
    timestamp  timestamptz NOT NULL,
    side       smallint NOT NULL CHECK (side IN (-1, 1)),
    title      text NOT NULL,
    message    text NOT NULL,
    value      double precision NOT NULL,
    threshold  double precision NOT NULL,
    simulated  boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX alerts_by_time ON alerts (created_at);

CREATE TABLE alert_deliveries (
    alert_id     text NOT NULL REFERENCES alerts ON DELETE CASCADE,
    channel      text NOT NULL,
    attempts     integer NOT NULL DEFAULT 0,
    next_try_at  timestamptz NOT NULL DEFAULT now(),
    last_error   text,
    delivered_at timestamptz,
    given_up_at  timestamptz,
    PRIMARY KEY (alert_id, channel)
);
CREATE INDEX alert_deliveries_open ON alert_deliveries (channel) WHERE delivered_at IS NULL AND given_up_at IS NULL;

CREATE TABLE alert_channels (
    channel           text PRIMARY KEY,
    place             text NOT NULL,
    checked_at        timestamptz NOT NULL DEFAULT now(),
    failing_since     timestamptz,
    last_error        text,
    last_delivered_at timestamptz
);

INSERT INTO schema_migrations (version, name) VALUES
    (1, '0001_minutes'),
    (2, '0002_analysis'),
    (3, '0003_flow'),
    (4, '0004_api_keys'),
    (5, '0005_data_gaps'),
    (6, '0006_flow_sums'),
    (7, '0007_feed_faults'),
    (8, '0008_chain_versions'),
    (9, '0009_alerts');

COMMIT;
