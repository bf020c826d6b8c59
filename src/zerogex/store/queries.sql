-- Questions people ask of the database.  All only read.  Every parameter may be left out (NULL).
-- "Today" is the New York day of the newest data, so that a simulated or an old database answers too.
-- Prices come back as plain numbers; times are timestamptz, which the command line shows in New York time.

-- gex_summary --
-- The newest analyses of each underlying: totals, flip, walls, max pain, ratios, coverage.  GEX in dollars per 1 % move.
-- symbol: underlying, all if left out; limit: analyses of each, 1 if left out
WITH RECURSIVE known AS (
    (SELECT underlying FROM gex_summary ORDER BY underlying LIMIT 1)
    UNION ALL
    SELECT (SELECT underlying FROM gex_summary WHERE underlying > known.underlying ORDER BY underlying LIMIT 1)
    FROM known WHERE known.underlying IS NOT NULL
)
SELECT newest.underlying, timestamp, data_timestamp, spot, net_gex, call_gex, put_gex, gross_gex, gex_shares_per_dollar,
       gamma_flip, gamma_flip_status, gamma_flip_reason, call_wall, put_wall, max_gamma_strike,
       max_pain, max_pain_expiration, put_call_ratio_oi, put_call_ratio_volume, expected_move,
       dex, vanna_exposure, charm_exposure, vega_exposure, volume_gex,
       contracts, contracts_used, coverage_pct, stale_s, spot_age_s, dealer_model, rate, simulated, code_version, created_at
FROM known CROSS JOIN LATERAL (
    SELECT * FROM gex_summary
    WHERE gex_summary.underlying = known.underlying
    ORDER BY timestamp DESC LIMIT coalesce(%(limit)s, 1)
) AS newest
WHERE %(symbol)s::text IS NULL OR newest.underlying = %(symbol)s
ORDER BY newest.underlying, timestamp DESC

-- gex_strikes --
-- GEX by strike of the newest analysis of each underlying, all expirations summed, in dollars per 1 % move.
-- symbol: underlying, all if left out; limit: strikes nearest to spot of each, all if left out
WITH RECURSIVE known AS (
    (SELECT underlying FROM gex_summary ORDER BY underlying LIMIT 1)
    UNION ALL
    SELECT (SELECT underlying FROM gex_summary WHERE underlying > known.underlying ORDER BY underlying LIMIT 1)
    FROM known WHERE known.underlying IS NOT NULL
), newest AS (
    SELECT last.underlying, last.timestamp, last.spot FROM known CROSS JOIN LATERAL (
        SELECT underlying, timestamp, spot FROM gex_summary
        WHERE gex_summary.underlying = known.underlying ORDER BY timestamp DESC LIMIT 1
    ) AS last
    WHERE %(symbol)s::text IS NULL OR last.underlying = %(symbol)s
), strikes AS (
    SELECT newest.underlying, newest.timestamp, newest.spot, cell.strike::float8 AS strike,
           sum(net_gex) AS net_gex, sum(call_gex) AS call_gex, sum(put_gex) AS put_gex,
           sum(vanna_exposure) AS vanna_exposure, sum(charm_exposure) AS charm_exposure,
           sum(call_open_interest)::bigint AS call_open_interest, sum(put_open_interest)::bigint AS put_open_interest,
           sum(call_volume)::bigint AS call_volume, sum(put_volume)::bigint AS put_volume
    FROM newest JOIN gex_calculations AS cell USING (underlying, timestamp)
    GROUP BY newest.underlying, newest.timestamp, newest.spot, cell.strike
), ranked AS (
    SELECT *, row_number() OVER (PARTITION BY underlying ORDER BY abs(strike - spot), strike) AS rank FROM strikes
)
SELECT underlying, strike, net_gex, call_gex, put_gex, vanna_exposure, charm_exposure,
       call_open_interest, put_open_interest, call_volume, put_volume, timestamp, spot
FROM ranked WHERE %(limit)s::bigint IS NULL OR rank <= %(limit)s
ORDER BY underlying, strike

-- gex_preview --
-- The live analysis of each underlying as the page shows it, with its age and state.  GEX in dollars per 1 % move.
-- symbol: underlying, all if left out
SELECT underlying, data_timestamp, (payload ->> 'computed_at')::timestamptz AS computed_at, simulated, (payload ->> 'spot')::float8 AS spot,
       (payload ->> 'net_gex')::float8 AS net_gex, (payload ->> 'call_gex')::float8 AS call_gex,
       (payload ->> 'put_gex')::float8 AS put_gex, (payload ->> 'gamma_flip')::float8 AS gamma_flip,
       payload ->> 'gamma_flip_status' AS gamma_flip_status, (payload ->> 'call_wall')::float8 AS call_wall,
       (payload ->> 'put_wall')::float8 AS put_wall, (payload ->> 'max_gamma_strike')::float8 AS max_gamma_strike,
       (payload ->> 'put_call_ratio_oi')::float8 AS put_call_ratio_oi,
       (payload ->> 'put_call_ratio_volume')::float8 AS put_call_ratio_volume
FROM gex_live
WHERE %(symbol)s::text IS NULL OR underlying = %(symbol)s
ORDER BY underlying

-- latest --
-- The newest stored minute, chain and analysis of each symbol.  GEX in dollars per 1 % move.
-- symbol: underlying, all if left out
SELECT quote.symbol, quote.timestamp, quote.open::float8, quote.high::float8, quote.low::float8,
       quote.close::float8, quote.up_volume, quote.down_volume, chain.timestamp AS chain_timestamp, chain.contracts,
       analysis.timestamp AS analysis_timestamp, analysis.net_gex, chain.simulated
FROM (
    SELECT DISTINCT ON (symbol) * FROM underlying_quotes
    WHERE timestamp >= (SELECT max(timestamp) FROM underlying_quotes) - interval '7 days'
      AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
    ORDER BY symbol, timestamp DESC
) AS quote
LEFT JOIN LATERAL (
    SELECT * FROM chain_minutes WHERE underlying = quote.symbol ORDER BY timestamp DESC LIMIT 1
) AS chain ON true
LEFT JOIN LATERAL (
    SELECT * FROM gex_summary WHERE underlying = quote.symbol ORDER BY timestamp DESC LIMIT 1
) AS analysis ON true
ORDER BY quote.symbol

-- stats --
-- Minutes and contract rows stored of each underlying, first and last.
-- symbol: underlying, all if left out
SELECT symbol, sum(bars)::bigint AS bars, sum(minutes)::bigint AS chain_minutes,
       sum(contracts)::bigint AS contract_rows, min(first) AS first_timestamp, max(last) AS last_timestamp
FROM (
    SELECT symbol, count(*) AS bars, 0 AS minutes, 0 AS contracts, min(timestamp) AS first, max(timestamp) AS last
    FROM underlying_quotes GROUP BY symbol
    UNION ALL
    SELECT underlying, 0, count(*), sum(contracts), min(timestamp), max(timestamp)
    FROM chain_minutes GROUP BY underlying
) AS parts
WHERE %(symbol)s::text IS NULL OR symbol = %(symbol)s
GROUP BY symbol
ORDER BY symbol

-- today --
-- The day of the newest data, by underlying: minutes, range, volume, contracts.
-- symbol: underlying, all if left out
WITH day AS (
    SELECT (max(timestamp) AT TIME ZONE 'America/New_York')::date AS date FROM underlying_quotes
), bounds AS (
    SELECT date, date::timestamp AT TIME ZONE 'America/New_York' AS start,
           (date + 1)::timestamp AT TIME ZONE 'America/New_York' AS finish FROM day
)
SELECT quote.symbol, bounds.date, count(*) AS bars, min(quote.timestamp) AS first_timestamp,
       max(quote.timestamp) AS last_timestamp,
       (array_agg(quote.open ORDER BY quote.timestamp))[1]::float8 AS open, max(quote.high)::float8 AS high,
       min(quote.low)::float8 AS low, (array_agg(quote.close ORDER BY quote.timestamp DESC))[1]::float8 AS close,
       max(quote.up_volume + quote.down_volume) AS volume,
       (SELECT count(*) FROM chain_minutes AS chain WHERE chain.underlying = quote.symbol
        AND chain.timestamp >= bounds.start AND chain.timestamp < bounds.finish) AS chain_minutes
FROM bounds JOIN underlying_quotes AS quote ON quote.timestamp >= bounds.start AND quote.timestamp < bounds.finish
WHERE %(symbol)s::text IS NULL OR quote.symbol = %(symbol)s
GROUP BY quote.symbol, bounds.date, bounds.start, bounds.finish
ORDER BY quote.symbol

-- check_streaming --
-- Whether data is streaming (a minute written within three), and how old the newest of each underlying is.
-- symbol: underlying, all if left out
SELECT live.underlying, coalesce(batch.written_at > now() - interval '3 minutes', false) AS streaming, live.timestamp AS latest_timestamp, minute.timestamp AS minute_timestamp, live.spot,
       live.simulated, round(extract(epoch FROM now() - batch.written_at)::numeric, 1)::float8 AS written_ago_s,
       batch.contracts, batch.rejected
FROM underlying_latest AS live
LEFT JOIN LATERAL (
    SELECT timestamp FROM chain_minutes WHERE underlying = live.underlying ORDER BY timestamp DESC LIMIT 1
) AS minute ON true
LEFT JOIN LATERAL (
    SELECT written_at, contracts, rejected FROM ingest_batches WHERE underlying = live.underlying
    ORDER BY timestamp DESC, written_at DESC LIMIT 1
) AS batch ON true
WHERE %(symbol)s::text IS NULL OR live.underlying = %(symbol)s
ORDER BY live.underlying

-- underlying --
-- The newest minutes of each underlying; volumes since the day began.
-- symbol: underlying, all if left out; limit: minutes of each, 20 if left out
WITH RECURSIVE known AS (
    (SELECT symbol FROM underlying_quotes ORDER BY symbol LIMIT 1)
    UNION ALL
    SELECT (SELECT symbol FROM underlying_quotes WHERE symbol > known.symbol ORDER BY symbol LIMIT 1)
    FROM known WHERE known.symbol IS NOT NULL
)
SELECT newest.symbol, timestamp, open::float8, high::float8, low::float8, close::float8, up_volume, down_volume
FROM known CROSS JOIN LATERAL (
    SELECT * FROM underlying_quotes
    WHERE underlying_quotes.symbol = known.symbol
    ORDER BY timestamp DESC LIMIT coalesce(%(limit)s, 20)
) AS newest
WHERE %(symbol)s::text IS NULL OR newest.symbol = %(symbol)s
ORDER BY newest.symbol, timestamp DESC

-- underlying_latest --
-- The spot of each underlying as the feed said it last, with its age and state.
-- symbol: underlying, all if left out
SELECT underlying, timestamp, spot, spot_time, simulated, delayed
FROM underlying_latest
WHERE %(symbol)s::text IS NULL OR underlying = %(symbol)s
ORDER BY underlying

-- underlying_today --
-- All minutes of the newest day.
-- symbol: underlying, all if left out
SELECT symbol, timestamp, open::float8, high::float8, low::float8, close::float8, up_volume, down_volume
FROM underlying_quotes
WHERE timestamp >= date_trunc('day', (SELECT max(timestamp) FROM underlying_quotes), 'America/New_York')
  AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
ORDER BY symbol, timestamp

-- underlying_volume --
-- Volume of each minute of the newest day, and how much of it traded on upticks.
-- symbol: underlying, all if left out
SELECT symbol, timestamp, up_volume_delta AS up_volume, down_volume_delta AS down_volume, volume_delta AS volume,
       round(100.0 * up_volume_delta / nullif(volume_delta, 0), 1)::float8 AS up_pct, close::float8
FROM underlying_quotes_with_deltas
WHERE trading_day = (SELECT trading_day(max(timestamp)) FROM underlying_quotes)
  AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
ORDER BY symbol, timestamp

-- options --
-- The newest stored chain of each underlying, next expiration and strikes nearest to spot first.  IV 0.20 is 20 %; theta per calendar day, vega per volatility point.
-- symbol: underlying, all if left out; limit: contracts of each, 50 if left out
WITH RECURSIVE known AS (
    (SELECT underlying FROM chain_minutes ORDER BY underlying LIMIT 1)
    UNION ALL
    SELECT (SELECT underlying FROM chain_minutes WHERE underlying > known.underlying ORDER BY underlying LIMIT 1)
    FROM known WHERE known.underlying IS NOT NULL
)
SELECT o.option_symbol, o.timestamp, o.expiration, o.strike::float8, o.option_type, o.bid::float8, o.ask::float8,
       o.last::float8, o.volume, o.open_interest, o.implied_volatility, o.delta, o.gamma, o.theta, o.vega
FROM known CROSS JOIN LATERAL (
    SELECT underlying, timestamp, spot FROM chain_minutes
    WHERE chain_minutes.underlying = known.underlying ORDER BY timestamp DESC LIMIT 1
) AS newest CROSS JOIN LATERAL (
    SELECT * FROM option_chains
    WHERE option_chains.underlying = newest.underlying AND option_chains.timestamp = newest.timestamp
    ORDER BY expiration, abs(strike - newest.spot::numeric), strike, option_type
    LIMIT coalesce(%(limit)s, 50)
) AS o
WHERE %(symbol)s::text IS NULL OR newest.underlying = %(symbol)s
ORDER BY o.underlying, o.expiration, abs(o.strike - newest.spot::numeric), o.strike, o.option_type

-- options_latest --
-- The newest known rows of the followed contracts, most traded first.
-- symbol: underlying, all if left out; limit: rows, 10 if left out
SELECT o.underlying, o.option_symbol, o.timestamp, o.expiration, o.strike::float8, o.option_type, o.bid::float8,
       o.ask::float8, o.last::float8, o.volume, o.open_interest, o.implied_volatility, o.iv_source, o.iv_status,
       o.delta, o.gamma, o.theta, o.vega, o.event_time
FROM option_latest AS o
WHERE %(symbol)s::text IS NULL OR o.underlying = %(symbol)s
ORDER BY o.volume DESC, o.option_symbol
LIMIT coalesce(%(limit)s, 10)

-- options_today --
-- Chains stored on the newest day, by minute.
-- symbol: underlying, all if left out
SELECT underlying, timestamp, spot, contracts, simulated
FROM chain_minutes
WHERE timestamp >= date_trunc('day', (SELECT max(timestamp) FROM chain_minutes), 'America/New_York')
  AND (%(symbol)s::text IS NULL OR underlying = %(symbol)s)
ORDER BY underlying, timestamp

-- options_strikes --
-- Open interest, volume and IV by strike of the latest rows.
-- symbol: underlying, all if left out
SELECT underlying, strike::float8,
       sum(open_interest) FILTER (WHERE option_type = 'C')::bigint AS call_open_interest,
       sum(open_interest) FILTER (WHERE option_type = 'P')::bigint AS put_open_interest,
       sum(volume) FILTER (WHERE option_type = 'C')::bigint AS call_volume,
       sum(volume) FILTER (WHERE option_type = 'P')::bigint AS put_volume,
       avg(implied_volatility) AS average_iv, count(*) AS contracts
FROM option_latest
WHERE %(symbol)s::text IS NULL OR underlying = %(symbol)s
GROUP BY underlying, strike
ORDER BY underlying, strike

-- options_raw --
-- Rows of option_chains as stored, newest first.
-- symbol: underlying, all if left out; limit: rows, 20 if left out
SELECT *
FROM option_chains
WHERE timestamp = (SELECT max(timestamp) FROM chain_minutes
                   WHERE contracts > 0 AND (%(symbol)s::text IS NULL OR underlying = %(symbol)s))
  AND (%(symbol)s::text IS NULL OR underlying = %(symbol)s)
ORDER BY option_symbol
LIMIT coalesce(%(limit)s, 20)

-- options_fields --
-- How many of the latest rows have each field, in percent.
-- symbol: underlying, all if left out
SELECT underlying, count(*) AS contracts,
       round(100.0 * count(bid) / count(*), 1)::float8 AS bid_pct,
       round(100.0 * count(ask) / count(*), 1)::float8 AS ask_pct,
       round(100.0 * count(last) / count(*), 1)::float8 AS last_pct,
       round(100.0 * count(*) FILTER (WHERE volume > 0) / count(*), 1)::float8 AS volume_pct,
       round(100.0 * count(*) FILTER (WHERE open_interest > 0) / count(*), 1)::float8 AS open_interest_pct,
       round(100.0 * count(implied_volatility) / count(*), 1)::float8 AS implied_volatility_pct,
       round(100.0 * count(*) FILTER (WHERE iv_source = 'default') / count(*), 1)::float8 AS default_iv_pct,
       round(100.0 * count(delta) / count(*), 1)::float8 AS delta_pct,
       round(100.0 * count(gamma) / count(*), 1)::float8 AS gamma_pct,
       round(100.0 * count(theta) / count(*), 1)::float8 AS theta_pct,
       round(100.0 * count(vega) / count(*), 1)::float8 AS vega_pct
FROM option_latest
WHERE %(symbol)s::text IS NULL OR underlying = %(symbol)s
GROUP BY underlying
ORDER BY underlying

-- greeks --
-- IV and Greeks now, next expiration and strikes nearest to spot first.  IV 0.20 is 20 %; theta per calendar day, vega per volatility point.
-- symbol: underlying, all if left out; limit: contracts of each, 50 if left out
SELECT underlying, option_symbol, expiration, strike::float8, option_type, implied_volatility, iv_source,
       delta, gamma, theta, vega, forward, rate, timestamp
FROM (
    SELECT o.*, row_number() OVER (
        PARTITION BY o.underlying ORDER BY o.expiration, abs(o.strike - u.spot::numeric), o.strike, o.option_type
    ) AS rank
    FROM option_latest AS o LEFT JOIN underlying_latest AS u USING (underlying)
    WHERE o.delta IS NOT NULL AND (%(symbol)s::text IS NULL OR o.underlying = %(symbol)s)
) AS ranked
WHERE rank <= coalesce(%(limit)s, 50)
ORDER BY underlying, rank

-- greeks_summary --
-- Averages by expiration and kind over the latest rows, and why IV is missing where it is.
-- symbol: underlying, all if left out
SELECT underlying, expiration, option_type, count(*) AS contracts, count(implied_volatility) AS with_iv,
       avg(implied_volatility) AS average_iv, avg(delta) AS average_delta, avg(gamma) AS average_gamma,
       avg(theta) AS average_theta, avg(vega) AS average_vega,
       count(*) FILTER (WHERE iv_status = 'no_quote') AS no_quote,
       count(*) FILTER (WHERE iv_status = 'below_intrinsic') AS below_intrinsic,
       count(*) FILTER (WHERE iv_status NOT IN ('converged', 'not_tried', 'no_quote', 'below_intrinsic')
                       ) AS other_failures
FROM option_latest
WHERE %(symbol)s::text IS NULL OR underlying = %(symbol)s
GROUP BY underlying, expiration, option_type
ORDER BY underlying, expiration, option_type

-- flow_by_type --
-- Calls against puts by minute, newest first; premiums and flow in dollars.  Net flow is inferred from last prices: see confidence.
-- symbol: underlying, all if left out; day: New York day, the newest if left out; minutes: newest minutes, 30 if left out; until: minutes before this instant, all if left out; limit: rows, all if left out
SELECT flow.underlying, flow.timestamp, call_volume, put_volume, put_call_ratio, call_premium, put_premium,
       call_volume - put_volume AS net_volume, net_flow, sentiment, confidence, unplaced_volume
FROM flow_span(%(symbol)s, %(day)s::date, coalesce(%(minutes)s, 30)) AS span CROSS JOIN LATERAL (
    SELECT * FROM flow_by_type
    WHERE underlying = span.underlying AND trading_day = span.trading_day AND timestamp >= span.since
      AND (%(until)s::timestamptz IS NULL OR timestamp < %(until)s)
    OFFSET 0  -- planned by itself: only these minutes are read
) AS flow
ORDER BY flow.timestamp DESC, flow.underlying
LIMIT %(limit)s

-- flow_by_strike --
-- The strikes with most flow in the newest minutes, calls and puts, with average Greeks of what traded; premiums and flow in dollars.
-- symbol: underlying, all if left out; day: New York day, the newest if left out; minutes: newest minutes, 30 if left out; until: minutes before this instant, all if left out; limit: rows, 20 if left out
SELECT flow.underlying, flow.strike::float8, sum(call_volume)::bigint AS call_volume,
       sum(put_volume)::bigint AS put_volume, sum(call_premium) AS call_premium, sum(put_premium) AS put_premium,
       sum(net_flow) AS net_flow,
       coalesce(sum(confidence * (call_premium + put_premium)) / nullif(sum(call_premium + put_premium), 0), 0)
           AS confidence,
       avg(average_iv) AS average_iv, avg(average_delta) AS average_delta, avg(average_gamma) AS average_gamma,
       avg(average_theta) AS average_theta, avg(average_vega) AS average_vega, max(flow.timestamp) AS last_traded
FROM flow_span(%(symbol)s, %(day)s::date, coalesce(%(minutes)s, 30)) AS span CROSS JOIN LATERAL (
    SELECT * FROM flow_by_strike
    WHERE underlying = span.underlying AND trading_day = span.trading_day AND timestamp >= span.since
      AND (%(until)s::timestamptz IS NULL OR timestamp < %(until)s)
    OFFSET 0
) AS flow
GROUP BY flow.underlying, flow.strike
ORDER BY sum(call_volume + put_volume) DESC, flow.underlying, flow.strike
LIMIT coalesce(%(limit)s, 20)

-- flow_by_expiration --
-- Flow of the newest minutes by expiration: days to expiration, calls and puts, average IV and theta; premiums and flow in dollars.
-- symbol: underlying, all if left out; day: New York day, the newest if left out; minutes: newest minutes, 30 if left out; until: minutes before this instant, all if left out; limit: rows, all if left out
SELECT flow.underlying, flow.expiration, dte, sum(call_volume)::bigint AS call_volume,
       sum(put_volume)::bigint AS put_volume,
       sum(put_volume)::float8 / nullif(sum(call_volume), 0)::float8 AS put_call_ratio,
       sum(call_premium) AS call_premium, sum(put_premium) AS put_premium, sum(net_flow) AS net_flow,
       coalesce(sum(confidence * (call_premium + put_premium)) / nullif(sum(call_premium + put_premium), 0), 0)
           AS confidence,
       avg(average_iv) AS average_iv, avg(average_theta) AS average_theta
FROM flow_span(%(symbol)s, %(day)s::date, coalesce(%(minutes)s, 30)) AS span CROSS JOIN LATERAL (
    SELECT * FROM flow_by_expiration
    WHERE underlying = span.underlying AND trading_day = span.trading_day AND timestamp >= span.since
      AND (%(until)s::timestamptz IS NULL OR timestamp < %(until)s)
    OFFSET 0
) AS flow
GROUP BY flow.underlying, flow.expiration, dte
ORDER BY flow.underlying, flow.expiration
LIMIT %(limit)s

-- flow_smart_money --
-- The most unusual prints of the newest minutes: blocks, high IV, far out of the money; premium in dollars, the score from 0 to 10.
-- symbol: underlying, all if left out; day: New York day, the newest if left out; minutes: newest minutes, 60 if left out; until: minutes before this instant, all if left out; limit: rows, 20 if left out
SELECT flow.option_symbol, flow.underlying, flow.timestamp, round(unusual_score::numeric, 1)::float8 AS unusual_score,
       volume, block, premium, open_interest, last::float8, implied_volatility, high_iv_pct, delta, deep_otm,
       CASE WHEN direction > 0.2 THEN 'buy' WHEN direction < -0.2 THEN 'sell' ELSE 'unclear' END AS side, confidence
FROM flow_span(%(symbol)s, %(day)s::date, coalesce(%(minutes)s, 60)) AS span CROSS JOIN LATERAL (
    SELECT * FROM flow_smart_money
    WHERE underlying = span.underlying AND trading_day = span.trading_day AND timestamp >= span.since
      AND (%(until)s::timestamptz IS NULL OR timestamp < %(until)s)
    OFFSET 0
) AS flow
ORDER BY flow.unusual_score DESC, flow.timestamp DESC, flow.option_symbol
LIMIT coalesce(%(limit)s, 20)

-- flow_buying_pressure --
-- The underlying by minute, newest first: share of volume on upticks, momentum, change to the minute before.
-- symbol: underlying, all if left out; day: New York day, the newest if left out; minutes: newest minutes, 30 if left out; until: minutes before this instant, all if left out; limit: rows, all if left out
WITH span AS (
    SELECT symbol, trading_day(max(timestamp)) AS trading_day,
           max(timestamp) - make_interval(mins => coalesce(%(minutes)s, 30) - 1) AS since
    FROM underlying_quotes
    WHERE (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
      AND (%(day)s::date IS NULL OR trading_day(timestamp) = %(day)s)
    GROUP BY symbol
)
SELECT flow.symbol, flow.timestamp, close::float8, change, up_volume, down_volume, buying_pressure_pct, momentum,
       pressure_change, volume_change
FROM span CROSS JOIN LATERAL (
    SELECT * FROM flow_buying_pressure
    WHERE symbol = span.symbol AND trading_day = span.trading_day AND timestamp >= span.since
      AND (%(until)s::timestamptz IS NULL OR timestamp < %(until)s)
    OFFSET 0
) AS flow
ORDER BY flow.timestamp DESC, flow.symbol
LIMIT %(limit)s

-- quality_fields --
-- Contract rows of a day: how many are stale (no word for 15 minutes), crossed, incomplete, or without IV, and why.  A minute without any quote is back-filled from trades; its rows count in from_trades, not in no_bid and no_ask.
-- symbol: underlying, all if left out; day: New York day, the newest if left out
WITH bounds AS (
    SELECT day::timestamp AT TIME ZONE 'America/New_York' AS start,
           (day + 1)::timestamp AT TIME ZONE 'America/New_York' AS finish
    FROM (SELECT coalesce(%(day)s::date, (SELECT trading_day(max(timestamp)) FROM chain_minutes)) AS day) AS asked
), minutes AS (
    SELECT underlying, timestamp, count(*) AS rows, count(bid) + count(ask) = 0 AS without_quotes,
           count(*) FILTER (WHERE event_time < timestamp - interval '15 minutes') AS stale,
           count(*) FILTER (WHERE bid > ask) AS crossed,
           count(*) FILTER (WHERE bid IS NULL) AS no_bid,
           count(*) FILTER (WHERE ask IS NULL) AS no_ask,
           count(*) FILTER (WHERE last IS NULL) AS no_last,
           count(*) FILTER (WHERE implied_volatility IS NULL) AS no_iv,
           count(*) FILTER (WHERE delta IS NULL) AS no_greeks,
           count(*) FILTER (WHERE iv_source = 'default') AS default_iv,
           count(*) FILTER (WHERE iv_status = 'below_intrinsic') AS below_intrinsic,
           count(*) FILTER (WHERE iv_status = 'above_maximum') AS above_maximum,
           count(*) FILTER (WHERE iv_status = 'no_quote') AS no_quote,
           count(*) FILTER (WHERE iv_status = 'expired') AS expired,
           count(*) FILTER (WHERE iv_status = 'below_iv_min') AS below_iv_min,
           count(*) FILTER (WHERE iv_status = 'above_iv_max') AS above_iv_max,
           count(*) FILTER (WHERE iv_status = 'no_convergence') AS no_convergence,
           count(*) FILTER (WHERE iv_status = 'bad_input') AS bad_input
    FROM bounds JOIN option_chains ON timestamp >= bounds.start AND timestamp < bounds.finish
    WHERE %(symbol)s::text IS NULL OR underlying = %(symbol)s
    GROUP BY underlying, timestamp
)
SELECT underlying, trading_day(min(timestamp)) AS trading_day, sum(rows)::bigint AS rows,
       coalesce(sum(rows) FILTER (WHERE without_quotes), 0)::bigint AS from_trades,
       coalesce(sum(no_bid) FILTER (WHERE NOT without_quotes), 0)::bigint AS no_bid,
       coalesce(sum(no_ask) FILTER (WHERE NOT without_quotes), 0)::bigint AS no_ask,
       sum(stale)::bigint AS stale,
       sum(crossed)::bigint AS crossed,
       sum(no_last)::bigint AS no_last,
       sum(no_iv)::bigint AS no_iv,
       sum(no_greeks)::bigint AS no_greeks,
       sum(default_iv)::bigint AS default_iv,
       sum(below_intrinsic)::bigint AS below_intrinsic,
       sum(above_maximum)::bigint AS above_maximum,
       sum(no_quote)::bigint AS no_quote,
       sum(expired)::bigint AS expired,
       sum(below_iv_min)::bigint AS below_iv_min,
       sum(above_iv_max)::bigint AS above_iv_max,
       sum(no_convergence)::bigint AS no_convergence,
       sum(bad_input)::bigint AS bad_input
FROM minutes
GROUP BY underlying
ORDER BY underlying

-- findings --
-- The log of data quality, newest session first; resolved findings say since when.
-- symbol: underlying, all if left out; limit: rows, 50 if left out
SELECT underlying, trading_day, kind, subject, started_at, ended_at, severity, affected, total, message, found_at,
       checked_at, resolved_at
FROM data_quality_log
WHERE %(symbol)s::text IS NULL OR underlying = %(symbol)s
ORDER BY trading_day DESC, underlying, started_at, kind, subject
LIMIT coalesce(%(limit)s, 50)

-- metrics --
-- What ingest measured of itself in the newest minutes, one column a metric.
-- symbol: underlying, all if left out; limit: minutes, 20 if left out
SELECT underlying, timestamp,
       max(value) FILTER (WHERE metric = 'contracts_stored')::bigint AS contracts_stored,
       max(value) FILTER (WHERE metric = 'contracts_rejected')::bigint AS contracts_rejected,
       max(value) FILTER (WHERE metric = 'bars_stored')::bigint AS bars_stored,
       max(value) FILTER (WHERE metric = 'iv_known')::bigint AS iv_known,
       max(value) FILTER (WHERE metric = 'greeks_known')::bigint AS greeks_known
FROM ingestion_metrics
WHERE %(symbol)s::text IS NULL OR underlying = %(symbol)s
GROUP BY underlying, timestamp
ORDER BY timestamp DESC, underlying
LIMIT coalesce(%(limit)s, 20)

-- size --
-- Disk used by each table with all its partitions and indexes, largest first.
SELECT root.relname AS table, count(part.oid) FILTER (WHERE part.relkind = 'r') AS parts,
       sum(greatest(part.reltuples, 0))::bigint AS rows_estimated,
       sum(pg_table_size(part.oid))::bigint AS table_bytes, sum(pg_indexes_size(part.oid))::bigint AS index_bytes
FROM pg_class AS root
CROSS JOIN LATERAL (
    SELECT inhrelid AS relid FROM pg_inherits WHERE inhparent = root.oid UNION SELECT root.oid
) AS member
JOIN pg_class AS part ON part.oid = member.relid
WHERE root.relnamespace = current_schema()::regnamespace AND root.relkind IN ('r', 'p') AND NOT root.relispartition
GROUP BY root.relname
ORDER BY sum(pg_total_relation_size(part.oid)) DESC, root.relname
