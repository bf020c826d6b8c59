-- Questions people ask of the database.  All only read.  Every parameter may be left out (NULL).
-- "Today" is the New York day of the newest data, so that a simulated or an old database answers too.
-- Prices come back as plain numbers; times are timestamptz, which the command line shows in New York time.

-- gex_summary --
-- The newest analyses of each underlying: totals, flip, walls, max pain, ratios, coverage.
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
       contracts, contracts_used, coverage_pct, stale_s, dealer_model, rate, simulated, code_version, created_at
FROM known CROSS JOIN LATERAL (
    SELECT * FROM gex_summary
    WHERE gex_summary.underlying = known.underlying
    ORDER BY timestamp DESC LIMIT coalesce(%(limit)s, 1)
) AS newest
WHERE %(symbol)s::text IS NULL OR newest.underlying = %(symbol)s
ORDER BY newest.underlying, timestamp DESC

-- gex_strikes --
-- GEX by strike of the newest analysis, all expirations summed.
-- symbol: underlying, the first if left out; limit: strikes nearest to spot, all if left out
WITH newest AS (
    SELECT underlying, timestamp, spot FROM gex_summary
    WHERE underlying = coalesce(%(symbol)s, (SELECT min(underlying) FROM gex_summary))
    ORDER BY timestamp DESC LIMIT 1
), strikes AS (
    SELECT newest.underlying, newest.timestamp, newest.spot, cell.strike::float8 AS strike,
           sum(net_gex) AS net_gex, sum(call_gex) AS call_gex, sum(put_gex) AS put_gex,
           sum(vanna_exposure) AS vanna_exposure, sum(charm_exposure) AS charm_exposure,
           sum(call_open_interest)::bigint AS call_open_interest, sum(put_open_interest)::bigint AS put_open_interest,
           sum(call_volume)::bigint AS call_volume, sum(put_volume)::bigint AS put_volume
    FROM newest JOIN gex_calculations AS cell USING (underlying, timestamp)
    GROUP BY newest.underlying, newest.timestamp, newest.spot, cell.strike
), nearest AS (
    SELECT * FROM strikes ORDER BY abs(strike - spot), strike LIMIT %(limit)s
)
SELECT * FROM nearest ORDER BY strike

-- gex_preview --
-- The live analysis of each underlying: what the page shows now.
-- symbol: underlying, all if left out
SELECT underlying, data_timestamp, computed_at, simulated,
       (payload ->> 'spot')::float8 AS spot, payload -> 'totals' AS totals, payload -> 'flip' AS flip
FROM gex_live
WHERE %(symbol)s::text IS NULL OR underlying = %(symbol)s
ORDER BY underlying

-- latest --
-- The newest stored minute of each symbol, and how many contracts its chain has.
-- symbol: underlying, all if left out
SELECT quote.symbol, quote.timestamp, quote.open::float8, quote.high::float8, quote.low::float8,
       quote.close::float8, quote.up_volume, quote.down_volume, chain.timestamp AS chain_timestamp, chain.contracts,
       chain.simulated
FROM (
    SELECT DISTINCT ON (symbol) * FROM underlying_quotes
    WHERE timestamp >= (SELECT max(timestamp) FROM underlying_quotes) - interval '7 days'
      AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
    ORDER BY symbol, timestamp DESC
) AS quote
LEFT JOIN LATERAL (
    SELECT * FROM chain_minutes WHERE underlying = quote.symbol ORDER BY timestamp DESC LIMIT 1
) AS chain ON true
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
-- How old the newest data of each underlying is, in seconds of the machine's clock.
-- symbol: underlying, all if left out
SELECT live.underlying, live.timestamp AS latest_timestamp, minute.timestamp AS minute_timestamp, live.spot,
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
-- The newest minutes of an underlying.
-- symbol: underlying, all if left out; limit: rows, 20 if left out
SELECT symbol, timestamp, open::float8, high::float8, low::float8, close::float8, up_volume, down_volume
FROM underlying_quotes
WHERE %(symbol)s::text IS NULL OR symbol = %(symbol)s
ORDER BY timestamp DESC, symbol
LIMIT coalesce(%(limit)s, 20)

-- underlying_latest --
-- The spot of each underlying as the feed says it now.
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
-- Volume of each minute of the newest day: what the cumulative volumes grew by.
-- symbol: underlying, all if left out
SELECT symbol, timestamp,
       greatest(up_volume - coalesce(lag(up_volume) OVER day, 0), 0) AS up_volume,
       greatest(down_volume - coalesce(lag(down_volume) OVER day, 0), 0) AS down_volume
FROM underlying_quotes
WHERE timestamp >= date_trunc('day', (SELECT max(timestamp) FROM underlying_quotes), 'America/New_York')
  AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
WINDOW day AS (PARTITION BY symbol ORDER BY timestamp)
ORDER BY symbol, timestamp

-- options --
-- The chain of the newest stored minute, contracts nearest to spot first.
-- symbol: underlying, the first if left out; limit: rows, 50 if left out
WITH newest AS (
    SELECT underlying, timestamp, spot FROM chain_minutes
    WHERE underlying = coalesce(%(symbol)s, (SELECT min(underlying) FROM chain_minutes))
    ORDER BY timestamp DESC LIMIT 1
)
SELECT o.option_symbol, o.timestamp, o.expiration, o.strike::float8, o.option_type, o.bid::float8, o.ask::float8,
       o.last::float8, o.volume, o.open_interest, o.implied_volatility, o.delta, o.gamma, o.theta, o.vega
FROM newest JOIN option_chains AS o USING (underlying, timestamp)
ORDER BY o.expiration, abs(o.strike - newest.spot::numeric), o.strike, o.option_type
LIMIT coalesce(%(limit)s, 50)

-- options_latest --
-- The newest known row of each followed contract.
-- symbol: underlying, all if left out; limit: rows, 50 if left out
SELECT o.underlying, o.option_symbol, o.timestamp, o.expiration, o.strike::float8, o.option_type, o.bid::float8,
       o.ask::float8, o.last::float8, o.volume, o.open_interest, o.implied_volatility, o.iv_source, o.iv_status,
       o.delta, o.gamma, o.theta, o.vega, o.event_time
FROM option_latest AS o LEFT JOIN underlying_latest AS u USING (underlying)
WHERE %(symbol)s::text IS NULL OR o.underlying = %(symbol)s
ORDER BY o.underlying, o.expiration, abs(o.strike - u.spot::numeric), o.strike, o.option_type
LIMIT coalesce(%(limit)s, 50)

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
-- IV and Greeks of the followed contracts that have them, nearest to spot first.
-- symbol: underlying, all if left out; limit: rows, 50 if left out
SELECT o.underlying, o.option_symbol, o.expiration, o.strike::float8, o.option_type, o.implied_volatility, o.iv_source,
       o.delta, o.gamma, o.theta, o.vega, o.forward, o.rate, o.timestamp
FROM option_latest AS o LEFT JOIN underlying_latest AS u USING (underlying)
WHERE o.delta IS NOT NULL AND (%(symbol)s::text IS NULL OR o.underlying = %(symbol)s)
ORDER BY o.underlying, o.expiration, abs(o.strike - u.spot::numeric), o.strike, o.option_type
LIMIT coalesce(%(limit)s, 50)

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

-- size --
-- Disk used by each table with all its partitions and indexes, largest first.
SELECT root.relname AS table, count(part.oid) FILTER (WHERE part.relkind = 'r') AS parts,
       sum(greatest(part.reltuples, 0))::bigint AS rows_estimated,
       sum(pg_table_size(part.oid))::bigint AS table_bytes, sum(pg_indexes_size(part.oid))::bigint AS index_bytes
FROM pg_class AS root
CROSS JOIN LATERAL (
    SELECT relid FROM pg_partition_tree(root.oid) UNION SELECT root.oid
) AS member
JOIN pg_class AS part ON part.oid = member.relid
WHERE root.relnamespace = current_schema()::regnamespace AND root.relkind IN ('r', 'p') AND NOT root.relispartition
GROUP BY root.relname
ORDER BY sum(pg_total_relation_size(part.oid)) DESC, root.relname
