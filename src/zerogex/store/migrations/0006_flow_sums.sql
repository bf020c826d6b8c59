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
