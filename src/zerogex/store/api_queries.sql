-- Questions that only the HTTP API asks; those of people are in queries.sql.  All only read.

-- api_minute_at --
-- The newest minute whose chain was closed by an instant.
-- symbol: underlying; as_of: the instant
SELECT timestamp
FROM chain_minutes
WHERE underlying = %(symbol)s AND timestamp <= %(as_of)s AND as_of <= %(as_of)s AND contracts > 0
ORDER BY timestamp DESC
LIMIT 1

-- api_history --
-- Analyses from start to before end, the last of each step, ascending; scalars only.
-- symbol: underlying; start: first instant; end: instant after the last; origin: where steps begin; step_s: seconds; limit: rows
WITH steps AS (
    SELECT DISTINCT ON (date_bin(make_interval(secs => %(step_s)s), timestamp, %(origin)s)) *
    FROM gex_summary
    WHERE underlying = %(symbol)s AND timestamp >= %(start)s AND timestamp < %(end)s
    ORDER BY date_bin(make_interval(secs => %(step_s)s), timestamp, %(origin)s), timestamp DESC
)
SELECT timestamp, data_timestamp, spot, net_gex, call_gex, put_gex, gross_gex, gex_shares_per_dollar, dex,
       vanna_exposure, charm_exposure, vega_exposure, volume_gex, gamma_flip, gamma_flip_status, call_wall, put_wall,
       max_gamma_strike, max_pain, max_pain_expiration, put_call_ratio_oi, put_call_ratio_volume,
       expected_move, expected_move_atm_iv, call_open_interest, put_open_interest, call_volume, put_volume,
       coverage_pct, contracts, contracts_used, stale_s, spot_age_s, dealer_model, simulated
FROM steps
ORDER BY timestamp
LIMIT %(limit)s

-- api_strikes --
-- Exposures by minute and strike from start to before end, the last minute of each step; measures not asked for are NULL.
-- symbol: underlying; start: first instant; end: instant after the last; origin: where steps begin; step_s: seconds; measures: names of columns
WITH minutes AS (
    SELECT DISTINCT ON (date_bin(make_interval(secs => %(step_s)s), timestamp, %(origin)s)) timestamp, spot, gamma_flip
    FROM gex_summary
    WHERE underlying = %(symbol)s AND timestamp >= %(start)s AND timestamp < %(end)s
    ORDER BY date_bin(make_interval(secs => %(step_s)s), timestamp, %(origin)s), timestamp DESC
)
SELECT strike.timestamp, minutes.spot, minutes.gamma_flip, strike.strike::float8 AS strike,
       CASE WHEN 'call_gex' = ANY(%(measures)s) THEN call_gex END AS call_gex,
       CASE WHEN 'put_gex' = ANY(%(measures)s) THEN put_gex END AS put_gex,
       CASE WHEN 'net_gex' = ANY(%(measures)s) THEN net_gex END AS net_gex,
       CASE WHEN 'gross_gex' = ANY(%(measures)s) THEN gross_gex END AS gross_gex,
       CASE WHEN 'gex_shares_per_dollar' = ANY(%(measures)s) THEN gex_shares_per_dollar END AS gex_shares_per_dollar,
       CASE WHEN 'dex' = ANY(%(measures)s) THEN dex END AS dex,
       CASE WHEN 'vanna_exposure' = ANY(%(measures)s) THEN vanna_exposure END AS vanna_exposure,
       CASE WHEN 'charm_exposure' = ANY(%(measures)s) THEN charm_exposure END AS charm_exposure,
       CASE WHEN 'vega_exposure' = ANY(%(measures)s) THEN vega_exposure END AS vega_exposure,
       CASE WHEN 'volume_gex' = ANY(%(measures)s) THEN volume_gex END AS volume_gex,
       CASE WHEN 'call_open_interest' = ANY(%(measures)s) THEN call_open_interest END AS call_open_interest,
       CASE WHEN 'put_open_interest' = ANY(%(measures)s) THEN put_open_interest END AS put_open_interest,
       CASE WHEN 'call_volume' = ANY(%(measures)s) THEN call_volume END AS call_volume,
       CASE WHEN 'put_volume' = ANY(%(measures)s) THEN put_volume END AS put_volume
FROM minutes JOIN gex_strikes AS strike ON strike.underlying = %(symbol)s AND strike.timestamp = minutes.timestamp
ORDER BY strike.timestamp, strike.strike

-- api_cells --
-- The same, over given expirations only.
-- symbol: underlying; start: first instant; end: instant after the last; origin: where steps begin; step_s: seconds; measures: names of columns; expirations: dates
WITH minutes AS (
    SELECT DISTINCT ON (date_bin(make_interval(secs => %(step_s)s), timestamp, %(origin)s)) timestamp, spot, gamma_flip
    FROM gex_summary
    WHERE underlying = %(symbol)s AND timestamp >= %(start)s AND timestamp < %(end)s
    ORDER BY date_bin(make_interval(secs => %(step_s)s), timestamp, %(origin)s), timestamp DESC
)
SELECT cell.timestamp, min(minutes.spot) AS spot, min(minutes.gamma_flip) AS gamma_flip, cell.strike::float8 AS strike,
       CASE WHEN 'call_gex' = ANY(%(measures)s) THEN sum(call_gex) END AS call_gex,
       CASE WHEN 'put_gex' = ANY(%(measures)s) THEN sum(put_gex) END AS put_gex,
       CASE WHEN 'net_gex' = ANY(%(measures)s) THEN sum(net_gex) END AS net_gex,
       CASE WHEN 'gross_gex' = ANY(%(measures)s) THEN sum(gross_gex) END AS gross_gex,
       CASE WHEN 'gex_shares_per_dollar' = ANY(%(measures)s) THEN sum(gex_shares_per_dollar) END AS gex_shares_per_dollar,
       CASE WHEN 'dex' = ANY(%(measures)s) THEN sum(dex) END AS dex,
       CASE WHEN 'vanna_exposure' = ANY(%(measures)s) THEN sum(vanna_exposure) END AS vanna_exposure,
       CASE WHEN 'charm_exposure' = ANY(%(measures)s) THEN sum(charm_exposure) END AS charm_exposure,
       CASE WHEN 'vega_exposure' = ANY(%(measures)s) THEN sum(vega_exposure) END AS vega_exposure,
       CASE WHEN 'volume_gex' = ANY(%(measures)s) THEN sum(volume_gex) END AS volume_gex,
       CASE WHEN 'call_open_interest' = ANY(%(measures)s) THEN sum(call_open_interest)::bigint END AS call_open_interest,
       CASE WHEN 'put_open_interest' = ANY(%(measures)s) THEN sum(put_open_interest)::bigint END AS put_open_interest,
       CASE WHEN 'call_volume' = ANY(%(measures)s) THEN sum(call_volume)::bigint END AS call_volume,
       CASE WHEN 'put_volume' = ANY(%(measures)s) THEN sum(put_volume)::bigint END AS put_volume
FROM minutes JOIN gex_calculations AS cell ON cell.underlying = %(symbol)s AND cell.timestamp = minutes.timestamp
WHERE cell.timestamp >= %(start)s AND cell.timestamp < %(end)s AND cell.expiration = ANY(%(expirations)s::date[])
GROUP BY cell.timestamp, cell.strike
ORDER BY cell.timestamp, cell.strike

-- api_expirations --
-- The expirations of the last analysis stored from start to before end, ascending.
-- symbol: underlying; start: first instant; end: instant after the last
SELECT DISTINCT expiration
FROM gex_calculations
WHERE underlying = %(symbol)s
  AND timestamp = (SELECT max(timestamp) FROM gex_summary
                   WHERE underlying = %(symbol)s AND timestamp >= %(start)s AND timestamp < %(end)s)
ORDER BY expiration

-- api_stages --
-- How far each stage has come: newest bar, chain minute, latest row, analysis, live answer; machine time of the writes.
-- symbol: underlying
SELECT (SELECT max(timestamp) FROM underlying_quotes WHERE symbol = %(symbol)s
          AND timestamp >= coalesce((SELECT timestamp FROM underlying_latest WHERE underlying = %(symbol)s), now())
              - interval '10 days') AS bar,
       (SELECT max(as_of) FROM chain_minutes WHERE underlying = %(symbol)s) AS minute,
       (SELECT timestamp FROM underlying_latest WHERE underlying = %(symbol)s) AS latest,
       (SELECT spot_time FROM underlying_latest WHERE underlying = %(symbol)s) AS spot,
       (SELECT max(event_time) FROM option_latest WHERE underlying = %(symbol)s) AS quote,
       (SELECT max(received_time) FROM option_latest WHERE underlying = %(symbol)s) AS received,
       (SELECT max(data_timestamp) FROM gex_summary WHERE underlying = %(symbol)s) AS analysis,
       (SELECT data_timestamp FROM gex_live WHERE underlying = %(symbol)s) AS live,
       (SELECT written_at FROM ingest_batches WHERE underlying = %(symbol)s
        ORDER BY timestamp DESC, written_at DESC LIMIT 1) AS minute_written_at
