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
