-- Whole days of a made-up market, written by the database itself: for measuring, never for a database in use.

-- contracts --
-- SPXW contracts, 200 strikes and both kinds on each expiration, nearest first; how busy each is, and its price.
CREATE TEMP TABLE made_up_contracts AS
SELECT format('SPXW %%s%%s%%s', to_char(expiration, 'YYMMDD'), kind, strike) AS option_symbol,
       expiration, strike::numeric(12,4), kind AS option_type,
       (expiration + time '16:00') AT TIME ZONE 'America/New_York' AS settlement,
       40 * exp(-abs(strike - 5000) / 60.0) / (1 + place) + 0.02 AS each_minute,
       abs(hashtext(kind || strike || place) %% 1000) / 1000.0 AS phase,
       greatest(CASE kind WHEN 'C' THEN 5000 - strike ELSE strike - 5000 END, 0)
           + 12 * sqrt(1 + place) * exp(-abs(strike - 5000) / (80 * sqrt(1 + place))) AS price,
       0.14 + abs(strike - 5000) / 5000.0 AS iv,
       1 / (1 + exp((CASE kind WHEN 'C' THEN 1 ELSE -1 END) * (strike - 5000) / (40 * sqrt(1 + place)))) AS delta
FROM generate_series(0, (%(contracts)s::int + 399) / 400 - 1) AS place
CROSS JOIN LATERAL (SELECT %(first_day)s::date + %(days)s::int + place AS expiration) AS listed
CROSS JOIN generate_series(4500, 5495, 5) AS strike
CROSS JOIN (VALUES ('C'), ('P')) AS kinds (kind)
ORDER BY place, strike, kind
LIMIT %(contracts)s

-- minutes --
-- The minutes of a day from 09:30 New York.
CREATE TEMP TABLE made_up_minutes AS
SELECT number, (%(day)s::date + time '09:30') AT TIME ZONE 'America/New_York' + make_interval(mins => number) AS timestamp,
       5000 + 8 * sin(number / 40.0) AS spot
FROM generate_series(0, %(minutes)s::int - 1) AS number

-- forget_minutes --
-- For the next day.
DROP TABLE made_up_minutes

-- day_table --
-- A day's rows, before they have an index.
CREATE TABLE {day_table} (LIKE option_chains INCLUDING DEFAULTS INCLUDING CONSTRAINTS)

-- chains --
-- One row a contract and minute: volumes grow, blocks of 150 now and then, the last price wanders between bid and ask.
INSERT INTO {day_table}
SELECT option_symbol, timestamp, 'SPX', 'SPXW', expiration, strike, option_type, 100, settlement,
       last - 0.05, last + 0.05 + 0.1 * abs(sin(number + 9 * phase))::numeric, last,
       floor(each_minute * (number + 1) + phase)::bigint + 150 * floor((number + 200 * phase) / 200)::bigint,
       floor(20000 * phase)::bigint, iv, 'mid', 'converged',
       CASE option_type WHEN 'C' THEN delta ELSE -delta END, delta * (1 - delta) / 40, -delta * (1 - delta),
       delta * (1 - delta), spot, 0.04, timestamp + interval '59 seconds', timestamp + interval '59 seconds'
FROM made_up_minutes
CROSS JOIN LATERAL (
    SELECT *, round((price * (1 + 0.02 * sin(number / 7.0 + 6 * phase)) + 0.1)::numeric, 2) AS last
    FROM made_up_contracts
) AS contract

-- day_keys --
-- The indexes of option_chains, which attaching takes over.
ALTER TABLE {day_table} ADD PRIMARY KEY (option_symbol, timestamp)

-- day_index --
-- The second one.
CREATE INDEX ON {day_table} (underlying, timestamp)

-- attach --
-- The day becomes a partition.
ALTER TABLE option_chains ATTACH PARTITION {day_table} FOR VALUES FROM ({since}) TO ({until})

-- headers --
-- What each minute's chain says once.
INSERT INTO chain_minutes
SELECT 'SPX', timestamp, timestamp + interval '1 minute', spot, timestamp, %(contracts)s, true, false FROM made_up_minutes

-- bars --
-- The underlying's minutes.
INSERT INTO underlying_quotes
SELECT 'SPX', timestamp, spot, spot + 1, spot - 1, spot + sin(number), 1000 * (number + 1), 900 * (number + 1)
FROM made_up_minutes

-- summaries --
-- An analysis of each minute, with documents as long as real ones.
INSERT INTO gex_summary
SELECT 'SPX', timestamp, timestamp + interval '1 minute', spot, 'dealers long calls', 'computed', 0.04, true, false,
       1e9, -1.2e9, -2e8, 2.2e9, -1e6, 1e8, 1e7, -1e7, -1e5, 1e8, 1000000, 1200000, 500000, 600000,
       spot, 'resolved', NULL, many, 5100, 1e8, 0.1, 0.5, 4900, -1e8, 0.1, 0.5, 5000, 1e8, 0.1, 0.5, many,
       4980, 'SPXW', %(day)s, 1e9, many, 1.2, 1.1, 40, %(day)s, 0.14, 38, 0.003, %(contracts)s, %(contracts)s,
       %(contracts)s, 2200000, 2200000, 100, 0.5, 0, few, few, many, few, '0', now()
FROM made_up_minutes
CROSS JOIN (SELECT jsonb_agg(jsonb_build_object('name', 'row ' || n, 'price', n * 1.25, 'share', 1.0 / n)) AS many
            FROM generate_series(1, 20) AS n) AS long
CROSS JOIN (SELECT jsonb_build_object('mid', 7000, 'last', 1000) AS few) AS short

-- cells --
-- The cells of each analysis.
INSERT INTO gex_calculations
SELECT 'SPX', timestamp, expiration, strike, delta * spot * 1e4, -delta * spot * 9e3, delta * spot * 1e3,
       delta * spot * 19e3, delta, delta, delta, delta, delta, delta, 1000, 1200, 500, 600
FROM made_up_minutes
CROSS JOIN (SELECT expiration, strike, delta FROM made_up_contracts WHERE option_type = 'C') AS cell

-- strikes --
-- The same, all expirations summed.
INSERT INTO gex_strikes
SELECT underlying, timestamp, strike, sum(call_gex), sum(put_gex), sum(net_gex), sum(gross_gex),
       sum(gex_shares_per_dollar), sum(dex), sum(vanna_exposure), sum(charm_exposure), sum(vega_exposure),
       sum(volume_gex), sum(call_open_interest), sum(put_open_interest), sum(call_volume), sum(put_volume)
FROM gex_calculations
WHERE timestamp >= (SELECT min(timestamp) FROM made_up_minutes)
GROUP BY underlying, timestamp, strike
