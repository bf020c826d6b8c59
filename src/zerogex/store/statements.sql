-- The store's own statements: how rows get in, and how chains get out.  People's questions are in queries.sql.

-- database_exists --
-- One row if there is a database of this name.
SELECT datname FROM pg_database WHERE datname = %(dbname)s

-- create_database --
-- The embedded server makes its databases when they are first asked for.
CREATE DATABASE {name} TEMPLATE {template}

-- create_schema_migrations --
-- The list of applied migrations.
CREATE TABLE IF NOT EXISTS schema_migrations (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)

-- applied_migrations --
-- Versions this database has.
SELECT version FROM schema_migrations ORDER BY version

-- has_schema_migrations --
-- Whether any migration was ever applied here.
SELECT to_regclass('schema_migrations') IS NOT NULL

-- record_migration --
-- Note a migration as applied, in its own transaction.
INSERT INTO schema_migrations (version, name) VALUES (%(version)s, %(name)s)

-- lock_migrations --
-- One migrating process at a time; a session lock, given back with the connection.
SELECT pg_advisory_lock(hashtext('zerogex migrate'))

-- unlock_migrations --
-- Let the next one migrate.
SELECT pg_advisory_unlock(hashtext('zerogex migrate'))

-- short_lock_timeout --
-- A migration that must wait for a lock makes everybody behind it wait too: give up early, try again.
SET LOCAL lock_timeout = '1500ms'

-- no_statement_timeout --
-- A migration may take its time.
SET LOCAL statement_timeout = 0

-- try_writer_lock --
-- The sole right to write an underlying, for as long as the session lives.
SELECT pg_try_advisory_lock(hashtext('zerogex writer'), hashtext(%(underlying)s))

-- release_writer_lock --
-- Give it back.
SELECT pg_advisory_unlock(hashtext('zerogex writer'), hashtext(%(underlying)s))

-- writer_lock_holder --
-- Who holds it: the server's process, the name its session gave itself, and since when.
SELECT held.pid, activity.application_name, activity.client_addr::text, activity.backend_start
FROM pg_locks AS held
JOIN pg_stat_activity AS activity ON activity.pid = held.pid
JOIN pg_database AS base ON base.oid = held.database AND base.datname = current_database()
WHERE held.locktype = 'advisory' AND held.granted AND held.objsubid = 2
  AND held.classid::bigint = hashtext('zerogex writer')::bigint & 4294967295
  AND held.objid::bigint = hashtext(%(underlying)s)::bigint & 4294967295
LIMIT 1

-- fellow_sessions --
-- Sessions that gave themselves a name that begins so, the longest connected first; and which of them asks.
SELECT pid = pg_backend_pid() FROM pg_stat_activity
WHERE datname = current_database() AND starts_with(application_name, %(prefix)s)
ORDER BY backend_start, pid

-- writer_sessions --
-- Who writes which underlying now.
SELECT writers.underlying, activity.application_name
FROM pg_locks AS held
JOIN pg_stat_activity AS activity ON activity.pid = held.pid
JOIN pg_database AS base ON base.oid = held.database AND base.datname = current_database()
JOIN writers ON held.objid::bigint = hashtext(writers.underlying)::bigint & 4294967295
WHERE held.locktype = 'advisory' AND held.granted AND held.objsubid = 2
  AND held.classid::bigint = hashtext('zerogex writer')::bigint & 4294967295
ORDER BY writers.underlying

-- server_health --
-- The server and this database at a glance.
SELECT current_setting('server_version'), pg_database_size(current_database()),
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
       current_setting('max_connections')::int, current_setting('transaction_read_only') = 'on'

-- blocked_sessions --
-- Sessions that wait for a lock for more than five seconds, and for whom.
SELECT waiting.application_name, extract(epoch FROM now() - waiting.query_start)::float8,
       (SELECT string_agg(coalesce(nullif(other.application_name, ''), 'process ' || other.pid), ', ')
        FROM pg_stat_activity AS other WHERE other.pid = ANY (pg_blocking_pids(waiting.pid)))
FROM pg_stat_activity AS waiting
WHERE waiting.datname = current_database() AND waiting.wait_event_type = 'Lock'
  AND waiting.query_start < now() - interval '5 seconds'
ORDER BY waiting.query_start

-- next_epoch --
-- A new holder fences off the one before.
INSERT INTO writers AS old (underlying, holder) VALUES (%(underlying)s, %(holder)s)
ON CONFLICT (underlying) DO UPDATE SET epoch = old.epoch + 1, holder = excluded.holder, acquired_at = now()
RETURNING epoch

-- current_epoch --
-- The epoch of the writer in office, held still until this transaction ends.
SELECT epoch, holder FROM writers WHERE underlying = %(underlying)s FOR SHARE

-- feed_state --
-- Where this database's data comes from.
SELECT provider, simulated, market_anchor, wall_anchor, speed, trouble, trouble_since FROM feed_state

-- take_request --
-- Let one request to the vendor pass, or say how long to wait: atomic for all processes of an account, by our own clock.
INSERT INTO vendor_requests AS old (account, resource, sent, granted)
VALUES (%(account)s, %(resource)s, ARRAY[clock_timestamp()], true)
ON CONFLICT (account, resource) DO UPDATE SET (sent, granted) = (
    SELECT CASE WHEN free THEN recent || instant ELSE recent END, free
    FROM (SELECT recent, instant,
                 cardinality(recent) < %(requests)s AND old.blocked_until <= instant AS free
          FROM (SELECT clock_timestamp() AS instant,
                       ARRAY(SELECT at FROM unnest(old.sent) AS at
                             WHERE at > clock_timestamp() - make_interval(secs => %(window_s)s)
                             ORDER BY at) AS recent) AS log) AS asked)
RETURNING CASE WHEN granted THEN sent[cardinality(sent)] END,
    greatest(extract(epoch FROM sent[greatest(cardinality(sent) - %(requests)s + 1, 1)]
                                + make_interval(secs => %(window_s)s) - clock_timestamp()), 0)::float8,
    CASE WHEN isfinite(blocked_until)
         THEN greatest(extract(epoch FROM blocked_until - clock_timestamp()), 0)::float8 ELSE 0 END

-- settle_request --
-- The answer is there: the request reached the vendor by now, and its place in the window counts from here.
UPDATE vendor_requests SET sent = array_replace(sent, %(granted_at)s, clock_timestamp())
WHERE account = %(account)s AND resource = %(resource)s

-- ban_requests --
-- The vendor said when to come back: no process of the account asks before.
INSERT INTO vendor_requests AS old (account, resource, blocked_until)
VALUES (%(account)s, %(resource)s, clock_timestamp() + make_interval(secs => %(seconds)s))
ON CONFLICT (account, resource) DO UPDATE SET blocked_until = greatest(old.blocked_until, excluded.blocked_until)

-- lock_feed_state --
-- Announcements one after another.
LOCK TABLE feed_state IN SHARE ROW EXCLUSIVE MODE

-- announce_feed --
-- Replace the one row.
INSERT INTO feed_state (provider, simulated, market_anchor, wall_anchor, speed)
VALUES (%(provider)s, %(simulated)s, %(market_anchor)s, %(wall_anchor)s, %(speed)s)
ON CONFLICT (single) DO UPDATE SET
    provider = excluded.provider, simulated = excluded.simulated, market_anchor = excluded.market_anchor,
    wall_anchor = excluded.wall_anchor, speed = excluded.speed, announced_at = now(),
    trouble = NULL, trouble_since = NULL

-- note_feed_trouble --
-- Why the feed cannot be heard, and since when.
UPDATE feed_state SET trouble = %(trouble)s,
    trouble_since = CASE WHEN %(trouble)s::text IS NOT NULL THEN coalesce(trouble_since, now()) END

-- has_data --
-- Whether any market data was ever stored.
SELECT EXISTS (SELECT FROM underlying_quotes) OR EXISTS (SELECT FROM chain_minutes)
    OR EXISTS (SELECT FROM gex_summary) OR EXISTS (SELECT FROM option_latest)

-- ensure_day --
-- Make a day's partition of a table.
SELECT ensure_day(%(parent)s, %(day)s)

-- record_batch --
-- Note a batch in the transaction of its rows; no row comes back if it was stored before.
INSERT INTO ingest_batches (batch_id, underlying, timestamp, contracts, rejected, bars)
VALUES (%(batch_id)s, %(underlying)s, %(timestamp)s, %(contracts)s, %(rejected)s, %(bars)s)
ON CONFLICT (batch_id) DO NOTHING
RETURNING batch_id

-- stage_options --
-- Where a session's COPY lands: numbers with NaN for "no value", text padded with spaces.
CREATE TEMP TABLE IF NOT EXISTS incoming_options (
    symbol text, root text, expiration date, strike numeric(12,4), is_call bool, multiplier int4,
    settlement timestamptz, bid numeric(12,4), ask numeric(12,4), last numeric(12,4), volume int8, open_interest int8, iv float8, iv_source int2, iv_status int2,
    delta float8, gamma float8, theta float8, vega float8, forward float8, rate float8,
    event_time timestamptz, received_time timestamptz
) ON COMMIT DELETE ROWS

-- copy_options --
-- Into the stage.
COPY incoming_options FROM STDIN (FORMAT binary)

-- upsert_options --
-- Store a closed minute; the same again changes nothing, a later reading replaces it, one without quotes none with.
INSERT INTO option_chains AS old (
    option_symbol, timestamp, underlying, root, expiration, strike, option_type, multiplier, settlement,
    bid, ask, last, volume, open_interest, implied_volatility, iv_source, iv_status, delta, gamma, theta, vega,
    forward, rate, event_time, received_time)
SELECT rtrim(symbol), %(timestamp)s, %(underlying)s, rtrim(root), expiration, strike,
       CASE WHEN is_call THEN 'C' ELSE 'P' END, multiplier, settlement,
       nullif(bid, 'NaN'), nullif(ask, 'NaN'), nullif(last, 'NaN'),
       volume, open_interest, nullif(iv, 'NaN'),
       CASE iv_source
           WHEN 1 THEN 'api'::iv_source
           WHEN 2 THEN 'mid'::iv_source
           WHEN 3 THEN 'last'::iv_source
           WHEN 4 THEN 'default'::iv_source
       END,
       CASE iv_status
           WHEN 0 THEN 'converged'::iv_status
           WHEN 1 THEN 'below_intrinsic'::iv_status
           WHEN 2 THEN 'above_maximum'::iv_status
           WHEN 3 THEN 'no_quote'::iv_status
           WHEN 4 THEN 'expired'::iv_status
           WHEN 5 THEN 'below_iv_min'::iv_status
           WHEN 6 THEN 'above_iv_max'::iv_status
           WHEN 7 THEN 'no_convergence'::iv_status
           WHEN 8 THEN 'bad_input'::iv_status
           WHEN 9 THEN 'not_tried'::iv_status
       END,
       nullif(delta, 'NaN'), nullif(gamma, 'NaN'), nullif(theta, 'NaN'), nullif(vega, 'NaN'),
       nullif(forward, 'NaN'), nullif(rate, 'NaN'), event_time, received_time
FROM incoming_options
ON CONFLICT (option_symbol, timestamp) DO UPDATE SET
    underlying = excluded.underlying, root = excluded.root, expiration = excluded.expiration,
    strike = excluded.strike, option_type = excluded.option_type, multiplier = excluded.multiplier,
    settlement = excluded.settlement, bid = excluded.bid, ask = excluded.ask, last = excluded.last,
    volume = excluded.volume, open_interest = excluded.open_interest,
    implied_volatility = excluded.implied_volatility, iv_source = excluded.iv_source,
    iv_status = excluded.iv_status, delta = excluded.delta, gamma = excluded.gamma, theta = excluded.theta,
    vega = excluded.vega, forward = excluded.forward, rate = excluded.rate,
    event_time = excluded.event_time, received_time = excluded.received_time
WHERE (old.bid IS NOT NULL OR old.ask IS NOT NULL, old.received_time)
      <= (excluded.bid IS NOT NULL OR excluded.ask IS NOT NULL, excluded.received_time)
  AND old.* IS DISTINCT FROM excluded.*

-- upsert_chain_minute --
-- What the minute's chain says once.
INSERT INTO chain_minutes AS old (underlying, timestamp, as_of, spot, spot_time, contracts, simulated, delayed)
VALUES (%(underlying)s, %(timestamp)s, %(as_of)s, %(spot)s, %(spot_time)s, %(contracts)s, %(simulated)s, %(delayed)s)
ON CONFLICT (underlying, timestamp) DO UPDATE SET
    as_of = excluded.as_of, spot = excluded.spot, spot_time = excluded.spot_time, contracts = excluded.contracts,
    simulated = excluded.simulated, delayed = excluded.delayed
WHERE old.* IS DISTINCT FROM excluded.*

-- complete_chain_minute --
-- The same of a minute that others may have stored, and better: only a newer spot that was heard takes its place.
INSERT INTO chain_minutes AS old (underlying, timestamp, as_of, spot, spot_time, contracts, simulated, delayed)
VALUES (%(underlying)s, %(timestamp)s, %(as_of)s, %(spot)s, %(spot_time)s, %(contracts)s, %(simulated)s, %(delayed)s)
ON CONFLICT (underlying, timestamp) DO UPDATE SET
    as_of = excluded.as_of, spot = excluded.spot, spot_time = excluded.spot_time,
    simulated = excluded.simulated, delayed = excluded.delayed
WHERE old.contracts = 0
   OR (%(heard)s AND coalesce(old.spot_time, old.as_of) < coalesce(excluded.spot_time, excluded.as_of))

-- count_contracts --
-- Of a minute whose rows came in several batches.
UPDATE chain_minutes AS chain SET contracts = rows.count
FROM (SELECT count(*)::int FROM option_chains WHERE underlying = %(underlying)s AND timestamp = %(timestamp)s) AS rows
WHERE chain.underlying = %(underlying)s AND chain.timestamp = %(timestamp)s AND chain.contracts <> rows.count

-- sum_flow --
-- After a chain that brought something new: what its minute's flow, and the next one's, add up to.
SELECT sum_flow(%(underlying)s, %(timestamp)s)

-- upsert_bar --
-- Store one minute of an underlying; the same again changes nothing.
INSERT INTO underlying_quotes AS old (symbol, timestamp, open, high, low, close, up_volume, down_volume)
VALUES (%(symbol)s, %(timestamp)s, %(open)s::float8::numeric(12,4), %(high)s::float8::numeric(12,4),
        %(low)s::float8::numeric(12,4), %(close)s::float8::numeric(12,4), %(up_volume)s, %(down_volume)s)
ON CONFLICT (symbol, timestamp) DO UPDATE SET
    open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
    up_volume = excluded.up_volume, down_volume = excluded.down_volume
WHERE old.* IS DISTINCT FROM excluded.*

-- upsert_fuller_bar --
-- Store one minute of an underlying that others may have stored since: the fuller of two readings stands.
INSERT INTO underlying_quotes AS old (symbol, timestamp, open, high, low, close, up_volume, down_volume)
VALUES (%(symbol)s, %(timestamp)s, %(open)s::float8::numeric(12,4), %(high)s::float8::numeric(12,4),
        %(low)s::float8::numeric(12,4), %(close)s::float8::numeric(12,4), %(up_volume)s, %(down_volume)s)
ON CONFLICT (symbol, timestamp) DO UPDATE SET
    open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
    up_volume = excluded.up_volume, down_volume = excluded.down_volume
WHERE old.up_volume + old.down_volume < excluded.up_volume + excluded.down_volume

-- latest_writer --
-- Which process's memory the latest rows of an underlying mirror.
SELECT writer FROM underlying_latest WHERE underlying = %(underlying)s FOR UPDATE

-- clear_latest --
-- Forget all latest rows of an underlying.
DELETE FROM option_latest WHERE underlying = %(underlying)s

-- forget_latest --
-- Forget contracts that are no longer followed.
DELETE FROM option_latest WHERE underlying = %(underlying)s AND option_symbol = ANY (%(symbols)s)

-- upsert_underlying_latest --
-- The newest spot, and whose memory this is.
INSERT INTO underlying_latest (underlying, timestamp, spot, spot_time, simulated, delayed, writer)
VALUES (%(underlying)s, %(as_of)s, %(spot)s, %(spot_time)s, %(simulated)s, %(delayed)s, %(writer)s)
ON CONFLICT (underlying) DO UPDATE SET
    timestamp = excluded.timestamp, spot = excluded.spot, spot_time = excluded.spot_time,
    simulated = excluded.simulated, delayed = excluded.delayed, writer = excluded.writer

-- upsert_latest --
-- Replace the rows of contracts that changed.
INSERT INTO option_latest AS old (
    option_symbol, timestamp, underlying, root, expiration, strike, option_type, multiplier, settlement,
    bid, ask, last, volume, open_interest, implied_volatility, iv_source, iv_status, delta, gamma, theta, vega,
    forward, rate, event_time, received_time)
SELECT rtrim(symbol), %(timestamp)s, %(underlying)s, rtrim(root), expiration, strike,
       CASE WHEN is_call THEN 'C' ELSE 'P' END, multiplier, settlement,
       nullif(bid, 'NaN'), nullif(ask, 'NaN'), nullif(last, 'NaN'),
       volume, open_interest, nullif(iv, 'NaN'),
       CASE iv_source
           WHEN 1 THEN 'api'::iv_source
           WHEN 2 THEN 'mid'::iv_source
           WHEN 3 THEN 'last'::iv_source
           WHEN 4 THEN 'default'::iv_source
       END,
       CASE iv_status
           WHEN 0 THEN 'converged'::iv_status
           WHEN 1 THEN 'below_intrinsic'::iv_status
           WHEN 2 THEN 'above_maximum'::iv_status
           WHEN 3 THEN 'no_quote'::iv_status
           WHEN 4 THEN 'expired'::iv_status
           WHEN 5 THEN 'below_iv_min'::iv_status
           WHEN 6 THEN 'above_iv_max'::iv_status
           WHEN 7 THEN 'no_convergence'::iv_status
           WHEN 8 THEN 'bad_input'::iv_status
           WHEN 9 THEN 'not_tried'::iv_status
       END,
       nullif(delta, 'NaN'), nullif(gamma, 'NaN'), nullif(theta, 'NaN'), nullif(vega, 'NaN'),
       nullif(forward, 'NaN'), nullif(rate, 'NaN'), event_time, received_time
FROM incoming_options
ON CONFLICT (option_symbol) DO UPDATE SET
    timestamp = excluded.timestamp,
    underlying = excluded.underlying, root = excluded.root, expiration = excluded.expiration,
    strike = excluded.strike, option_type = excluded.option_type, multiplier = excluded.multiplier,
    settlement = excluded.settlement, bid = excluded.bid, ask = excluded.ask, last = excluded.last,
    volume = excluded.volume, open_interest = excluded.open_interest,
    implied_volatility = excluded.implied_volatility, iv_source = excluded.iv_source,
    iv_status = excluded.iv_status, delta = excluded.delta, gamma = excluded.gamma, theta = excluded.theta,
    vega = excluded.vega, forward = excluded.forward, rate = excluded.rate,
    event_time = excluded.event_time, received_time = excluded.received_time

-- notify --
-- Wake those who wait; delivered when the transaction commits.
SELECT pg_notify('zerogex', %(payload)s)

-- listen --
-- Hear the notices.
LISTEN zerogex

-- consistent_read --
-- Header and rows of the same instant.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY

-- read_only --
-- For people's questions.
SET TRANSACTION READ ONLY

-- latest_header --
-- What the latest chain says once.
SELECT underlying, timestamp, spot, spot_time, simulated, delayed FROM underlying_latest
WHERE underlying = %(underlying)s

-- latest_rows --
-- The latest chain's rows in the layout of chain_rows, as one value: messages for each row and sorting are what cost.
SELECT string_agg(record_send(chain), ''::bytea)
FROM (
    SELECT rpad(option_symbol, 32), rpad(root, 8), expiration, (strike * 10000)::int8, option_type = 'C', multiplier,
           settlement,
           coalesce((bid * 10000)::int8, -1), coalesce((ask * 10000)::int8, -1), coalesce((last * 10000)::int8, -1),
           volume, open_interest, coalesce(implied_volatility, 'NaN'),
           (CASE iv_source
               WHEN 'api' THEN 1 WHEN 'mid' THEN 2 WHEN 'last' THEN 3 WHEN 'default' THEN 4 ELSE 0
           END)::int2,
           (CASE iv_status
               WHEN 'converged' THEN 0
               WHEN 'below_intrinsic' THEN 1
               WHEN 'above_maximum' THEN 2
               WHEN 'no_quote' THEN 3
               WHEN 'expired' THEN 4
               WHEN 'below_iv_min' THEN 5
               WHEN 'above_iv_max' THEN 6
               WHEN 'no_convergence' THEN 7
               WHEN 'bad_input' THEN 8
               WHEN 'not_tried' THEN 9
           END)::int2,
           coalesce(delta, 'NaN'), coalesce(gamma, 'NaN'), coalesce(theta, 'NaN'), coalesce(vega, 'NaN'),
           coalesce(forward, 'NaN'), coalesce(rate, 'NaN'), event_time, received_time
    FROM option_latest WHERE underlying = %(underlying)s
) AS chain

-- minute_header --
-- What a stored chain says once; without a time, of the last minute.
SELECT underlying, as_of, spot, spot_time, simulated, delayed, timestamp FROM chain_minutes
WHERE underlying = %(underlying)s AND (%(timestamp)s::timestamptz IS NULL OR timestamp = %(timestamp)s)
ORDER BY timestamp DESC LIMIT 1

-- minute_rows --
-- A stored minute's rows, the same way.
SELECT string_agg(record_send(chain), ''::bytea)
FROM (
    SELECT rpad(option_symbol, 32), rpad(root, 8), expiration, (strike * 10000)::int8, option_type = 'C', multiplier,
           settlement,
           coalesce((bid * 10000)::int8, -1), coalesce((ask * 10000)::int8, -1), coalesce((last * 10000)::int8, -1),
           volume, open_interest, coalesce(implied_volatility, 'NaN'),
           (CASE iv_source
               WHEN 'api' THEN 1 WHEN 'mid' THEN 2 WHEN 'last' THEN 3 WHEN 'default' THEN 4 ELSE 0
           END)::int2,
           (CASE iv_status
               WHEN 'converged' THEN 0
               WHEN 'below_intrinsic' THEN 1
               WHEN 'above_maximum' THEN 2
               WHEN 'no_quote' THEN 3
               WHEN 'expired' THEN 4
               WHEN 'below_iv_min' THEN 5
               WHEN 'above_iv_max' THEN 6
               WHEN 'no_convergence' THEN 7
               WHEN 'bad_input' THEN 8
               WHEN 'not_tried' THEN 9
           END)::int2,
           coalesce(delta, 'NaN'), coalesce(gamma, 'NaN'), coalesce(theta, 'NaN'), coalesce(vega, 'NaN'),
           coalesce(forward, 'NaN'), coalesce(rate, 'NaN'), event_time, received_time
    FROM option_chains WHERE underlying = %(underlying)s AND timestamp = %(timestamp)s
) AS chain

-- bars --
-- Stored minutes of a symbol from start to before end.
SELECT symbol, timestamp, open::float8, high::float8, low::float8, close::float8, up_volume, down_volume
FROM underlying_quotes
WHERE symbol = %(symbol)s AND timestamp >= %(start)s AND timestamp < %(end)s
ORDER BY timestamp

-- chain_minutes --
-- Which minutes of an interval have a chain.
SELECT timestamp FROM chain_minutes
WHERE underlying = %(underlying)s AND timestamp >= %(start)s AND timestamp < %(end)s
ORDER BY timestamp

-- chain_versions --
-- The stored chains of a day: how often each was stored, and how often it had been when it was analysed.
SELECT chains.timestamp, count(batches.batch_id)::int,
       CASE WHEN summary.timestamp IS NOT NULL THEN coalesce(summary.chain_version, count(batches.batch_id)::int) END
FROM chain_minutes AS chains
LEFT JOIN ingest_batches AS batches
    ON (batches.underlying, batches.timestamp) = (chains.underlying, chains.timestamp) AND batches.contracts > 0
LEFT JOIN gex_summary AS summary
    ON (summary.underlying, summary.timestamp) = (chains.underlying, chains.timestamp)
WHERE chains.underlying = %(underlying)s
  AND chains.timestamp > (SELECT max(timestamp) FROM chain_minutes WHERE underlying = %(underlying)s) - interval '1 day'
GROUP BY chains.timestamp, summary.timestamp, summary.chain_version
ORDER BY chains.timestamp

-- unanalysed_minutes --
-- Stored chains of an interval with no analysis closer than a step, or stored again since theirs, newest first.
WITH stored AS (
    SELECT timestamp, count(*)::int AS times FROM ingest_batches
    WHERE underlying = %(underlying)s AND timestamp >= %(start)s AND timestamp < %(end)s AND contracts > 0
    GROUP BY timestamp)
SELECT chain.timestamp, coalesce(stored.times, 0), own.chain_version
FROM chain_minutes AS chain
LEFT JOIN stored ON stored.timestamp = chain.timestamp
LEFT JOIN gex_summary AS own ON (own.underlying, own.timestamp) = (chain.underlying, chain.timestamp)
WHERE chain.underlying = %(underlying)s AND chain.timestamp >= %(start)s AND chain.timestamp < %(end)s
  AND chain.contracts > 0
  AND (own.chain_version < stored.times OR NOT EXISTS (
      SELECT FROM gex_summary AS done
      WHERE done.underlying = chain.underlying
        AND done.timestamp > chain.timestamp - %(step)s AND done.timestamp < chain.timestamp + %(step)s))
ORDER BY chain.timestamp DESC LIMIT %(limit)s

-- last_bar --
-- The newest stored minute of a symbol.
SELECT symbol, timestamp, open::float8, high::float8, low::float8, close::float8, up_volume, down_volume
FROM underlying_quotes WHERE symbol = %(symbol)s
ORDER BY timestamp DESC LIMIT 1

-- known_underlyings --
-- Symbols with any data.
WITH RECURSIVE bars AS (  -- a skip scan: one index probe a symbol, not a walk over all history
    (SELECT symbol FROM underlying_quotes ORDER BY symbol LIMIT 1)
    UNION ALL
    SELECT (SELECT q.symbol FROM underlying_quotes AS q WHERE q.symbol > bars.symbol ORDER BY q.symbol LIMIT 1)
    FROM bars WHERE bars.symbol IS NOT NULL
), chains AS (
    (SELECT underlying FROM chain_minutes ORDER BY underlying LIMIT 1)
    UNION ALL
    SELECT (SELECT c.underlying FROM chain_minutes AS c WHERE c.underlying > chains.underlying
            ORDER BY c.underlying LIMIT 1)
    FROM chains WHERE chains.underlying IS NOT NULL
)
SELECT symbol FROM bars WHERE symbol IS NOT NULL
UNION SELECT underlying FROM chains WHERE underlying IS NOT NULL
UNION SELECT underlying FROM underlying_latest
UNION SELECT underlying FROM gex_live
ORDER BY 1

-- note_chain_version --
-- Which version of its chain an analysis saw.
UPDATE gex_summary SET chain_version = %(version)s
WHERE underlying = %(underlying)s AND timestamp = %(timestamp)s AND chain_version IS DISTINCT FROM %(version)s

-- upsert_gex_summary --
-- Store one analysis; the same again changes nothing and returns no row.
INSERT INTO gex_summary AS old (
    underlying, timestamp, data_timestamp, spot, dealer_model, greeks, rate, simulated, delayed, call_gex,
    put_gex, net_gex, gross_gex, gex_shares_per_dollar, dex, vanna_exposure, charm_exposure, vega_exposure,
    volume_gex, call_open_interest, put_open_interest, call_volume, put_volume, gamma_flip, gamma_flip_status,
    gamma_flip_reason, flip_crossings, call_wall, call_wall_gex, call_wall_share, call_wall_margin, put_wall,
    put_wall_gex, put_wall_share, put_wall_margin, max_gamma_strike, max_gamma_gex, max_gamma_share,
    max_gamma_margin, level_variants, max_pain, max_pain_root, max_pain_expiration, max_pain_payout,
    max_pain_by_expiration, put_call_ratio_oi, put_call_ratio_volume, expected_move, expected_move_expiration,
    expected_move_atm_iv, expected_move_straddle, expected_move_years, contracts, contracts_live,
    contracts_used, open_interest, open_interest_used, coverage_pct, stale_s, spot_age_s,
    excluded_adjusted, iv_sources, iv_failures, forwards, notes, code_version)
VALUES (
    %(underlying)s, %(timestamp)s, %(data_timestamp)s, %(spot)s, %(dealer_model)s, %(greeks)s, %(rate)s,
    %(simulated)s, %(delayed)s, %(call_gex)s, %(put_gex)s, %(net_gex)s, %(gross_gex)s,
    %(gex_shares_per_dollar)s, %(dex)s, %(vanna_exposure)s, %(charm_exposure)s, %(vega_exposure)s,
    %(volume_gex)s, %(call_open_interest)s, %(put_open_interest)s, %(call_volume)s, %(put_volume)s,
    %(gamma_flip)s, %(gamma_flip_status)s, %(gamma_flip_reason)s, %(flip_crossings)s, %(call_wall)s,
    %(call_wall_gex)s, %(call_wall_share)s, %(call_wall_margin)s, %(put_wall)s, %(put_wall_gex)s,
    %(put_wall_share)s, %(put_wall_margin)s, %(max_gamma_strike)s, %(max_gamma_gex)s, %(max_gamma_share)s,
    %(max_gamma_margin)s, %(level_variants)s, %(max_pain)s, %(max_pain_root)s, %(max_pain_expiration)s,
    %(max_pain_payout)s, %(max_pain_by_expiration)s, %(put_call_ratio_oi)s, %(put_call_ratio_volume)s,
    %(expected_move)s, %(expected_move_expiration)s, %(expected_move_atm_iv)s, %(expected_move_straddle)s,
    %(expected_move_years)s, %(contracts)s, %(contracts_live)s, %(contracts_used)s, %(open_interest)s,
    %(open_interest_used)s, %(coverage_pct)s, %(stale_s)s, %(spot_age_s)s, %(excluded_adjusted)s,
    %(iv_sources)s, %(iv_failures)s, %(forwards)s, %(notes)s, %(code_version)s)
ON CONFLICT (underlying, timestamp) DO UPDATE SET
    data_timestamp = excluded.data_timestamp, spot = excluded.spot, dealer_model = excluded.dealer_model,
    greeks = excluded.greeks, rate = excluded.rate, simulated = excluded.simulated, delayed = excluded.delayed,
    call_gex = excluded.call_gex, put_gex = excluded.put_gex, net_gex = excluded.net_gex,
    gross_gex = excluded.gross_gex, gex_shares_per_dollar = excluded.gex_shares_per_dollar, dex = excluded.dex,
    vanna_exposure = excluded.vanna_exposure, charm_exposure = excluded.charm_exposure,
    vega_exposure = excluded.vega_exposure, volume_gex = excluded.volume_gex,
    call_open_interest = excluded.call_open_interest, put_open_interest = excluded.put_open_interest,
    call_volume = excluded.call_volume, put_volume = excluded.put_volume, gamma_flip = excluded.gamma_flip,
    gamma_flip_status = excluded.gamma_flip_status, gamma_flip_reason = excluded.gamma_flip_reason,
    flip_crossings = excluded.flip_crossings, call_wall = excluded.call_wall,
    call_wall_gex = excluded.call_wall_gex, call_wall_share = excluded.call_wall_share,
    call_wall_margin = excluded.call_wall_margin, put_wall = excluded.put_wall,
    put_wall_gex = excluded.put_wall_gex, put_wall_share = excluded.put_wall_share,
    put_wall_margin = excluded.put_wall_margin, max_gamma_strike = excluded.max_gamma_strike,
    max_gamma_gex = excluded.max_gamma_gex, max_gamma_share = excluded.max_gamma_share,
    max_gamma_margin = excluded.max_gamma_margin, level_variants = excluded.level_variants,
    max_pain = excluded.max_pain, max_pain_root = excluded.max_pain_root,
    max_pain_expiration = excluded.max_pain_expiration, max_pain_payout = excluded.max_pain_payout,
    max_pain_by_expiration = excluded.max_pain_by_expiration, put_call_ratio_oi = excluded.put_call_ratio_oi,
    put_call_ratio_volume = excluded.put_call_ratio_volume, expected_move = excluded.expected_move,
    expected_move_expiration = excluded.expected_move_expiration,
    expected_move_atm_iv = excluded.expected_move_atm_iv,
    expected_move_straddle = excluded.expected_move_straddle,
    expected_move_years = excluded.expected_move_years, contracts = excluded.contracts,
    contracts_live = excluded.contracts_live, contracts_used = excluded.contracts_used,
    open_interest = excluded.open_interest, open_interest_used = excluded.open_interest_used,
    coverage_pct = excluded.coverage_pct, stale_s = excluded.stale_s, spot_age_s = excluded.spot_age_s,
    excluded_adjusted = excluded.excluded_adjusted, iv_sources = excluded.iv_sources,
    iv_failures = excluded.iv_failures, forwards = excluded.forwards, notes = excluded.notes,
    code_version = excluded.code_version,
    created_at = now()
WHERE (old.data_timestamp, old.spot, old.dealer_model, old.greeks, old.rate, old.simulated, old.delayed,
       old.call_gex, old.put_gex, old.net_gex, old.gross_gex, old.gex_shares_per_dollar, old.dex,
       old.vanna_exposure, old.charm_exposure, old.vega_exposure, old.volume_gex, old.call_open_interest,
       old.put_open_interest, old.call_volume, old.put_volume, old.gamma_flip, old.gamma_flip_status,
       old.gamma_flip_reason, old.flip_crossings, old.call_wall, old.call_wall_gex, old.call_wall_share,
       old.call_wall_margin, old.put_wall, old.put_wall_gex, old.put_wall_share, old.put_wall_margin,
       old.max_gamma_strike, old.max_gamma_gex, old.max_gamma_share, old.max_gamma_margin, old.level_variants,
       old.max_pain, old.max_pain_root, old.max_pain_expiration, old.max_pain_payout,
       old.max_pain_by_expiration, old.put_call_ratio_oi, old.put_call_ratio_volume, old.expected_move,
       old.expected_move_expiration, old.expected_move_atm_iv, old.expected_move_straddle,
       old.expected_move_years, old.contracts, old.contracts_live, old.contracts_used, old.open_interest,
       old.open_interest_used, old.coverage_pct, old.stale_s, old.spot_age_s, old.excluded_adjusted, old.iv_sources,
       old.iv_failures, old.forwards, old.notes, old.code_version)
    IS DISTINCT FROM
      (excluded.data_timestamp, excluded.spot, excluded.dealer_model, excluded.greeks, excluded.rate,
       excluded.simulated, excluded.delayed, excluded.call_gex, excluded.put_gex, excluded.net_gex,
       excluded.gross_gex, excluded.gex_shares_per_dollar, excluded.dex, excluded.vanna_exposure,
       excluded.charm_exposure, excluded.vega_exposure, excluded.volume_gex, excluded.call_open_interest,
       excluded.put_open_interest, excluded.call_volume, excluded.put_volume, excluded.gamma_flip,
       excluded.gamma_flip_status, excluded.gamma_flip_reason, excluded.flip_crossings, excluded.call_wall,
       excluded.call_wall_gex, excluded.call_wall_share, excluded.call_wall_margin, excluded.put_wall,
       excluded.put_wall_gex, excluded.put_wall_share, excluded.put_wall_margin, excluded.max_gamma_strike,
       excluded.max_gamma_gex, excluded.max_gamma_share, excluded.max_gamma_margin, excluded.level_variants,
       excluded.max_pain, excluded.max_pain_root, excluded.max_pain_expiration, excluded.max_pain_payout,
       excluded.max_pain_by_expiration, excluded.put_call_ratio_oi, excluded.put_call_ratio_volume,
       excluded.expected_move, excluded.expected_move_expiration, excluded.expected_move_atm_iv,
       excluded.expected_move_straddle, excluded.expected_move_years, excluded.contracts,
       excluded.contracts_live, excluded.contracts_used, excluded.open_interest, excluded.open_interest_used,
       excluded.coverage_pct, excluded.stale_s, excluded.spot_age_s, excluded.excluded_adjusted, excluded.iv_sources,
       excluded.iv_failures, excluded.forwards, excluded.notes, excluded.code_version)
RETURNING underlying

-- stage_cells --
-- Where the cells of an analysis land.
CREATE TEMP TABLE IF NOT EXISTS incoming_cells (
    expiration date, strike float8, call_gex float8, put_gex float8, net_gex float8, gross_gex float8,
    gex_shares_per_dollar float8, dex float8, vanna_exposure float8, charm_exposure float8, vega_exposure float8,
    volume_gex float8, call_open_interest int8, put_open_interest int8, call_volume int8, put_volume int8
) ON COMMIT DELETE ROWS

-- copy_cells --
-- Into the stage.
COPY incoming_cells FROM STDIN (FORMAT binary)

-- clear_cells --
-- Make room for a new reading of the same minute.
WITH strikes AS (DELETE FROM gex_strikes WHERE underlying = %(underlying)s AND timestamp = %(timestamp)s)
DELETE FROM gex_calculations WHERE underlying = %(underlying)s AND timestamp = %(timestamp)s

-- insert_cells --
-- Store the cells of an analysis.
INSERT INTO gex_calculations (
    underlying, timestamp, expiration, strike,
    call_gex, put_gex, net_gex, gross_gex, gex_shares_per_dollar, dex, vanna_exposure, charm_exposure,
    vega_exposure, volume_gex, call_open_interest, put_open_interest, call_volume, put_volume)
SELECT %(underlying)s, %(timestamp)s, expiration, strike::numeric(12,4),
       call_gex, put_gex, net_gex, gross_gex, gex_shares_per_dollar, dex, vanna_exposure, charm_exposure,
       vega_exposure, volume_gex, call_open_interest, put_open_interest, call_volume, put_volume
FROM incoming_cells

-- insert_strikes --
-- The same, all expirations summed, in an order that gives the same bits each time.
INSERT INTO gex_strikes (
    underlying, timestamp, strike,
    call_gex, put_gex, net_gex, gross_gex, gex_shares_per_dollar, dex, vanna_exposure, charm_exposure,
    vega_exposure, volume_gex, call_open_interest, put_open_interest, call_volume, put_volume)
SELECT %(underlying)s, %(timestamp)s, cell.strike, sum(call_gex), sum(put_gex), sum(net_gex), sum(gross_gex),
       sum(gex_shares_per_dollar), sum(dex), sum(vanna_exposure), sum(charm_exposure), sum(vega_exposure),
       sum(volume_gex), sum(call_open_interest), sum(put_open_interest), sum(call_volume), sum(put_volume)
FROM (SELECT * FROM gex_calculations WHERE underlying = %(underlying)s AND timestamp = %(timestamp)s
      ORDER BY strike, expiration) AS cell
GROUP BY cell.strike

-- upsert_gex_live --
-- Replace the live analysis of an underlying.
INSERT INTO gex_live (underlying, data_timestamp, simulated, payload, computed_at)
VALUES (%(underlying)s, %(data_timestamp)s, %(simulated)s, %(payload)s::json, now())
ON CONFLICT (underlying) DO UPDATE SET
    data_timestamp = excluded.data_timestamp, simulated = excluded.simulated, payload = excluded.payload,
    computed_at = excluded.computed_at

-- gex_live --
-- The JSON of the live analysis.
SELECT payload::text FROM gex_live WHERE underlying = %(underlying)s

-- gex_history --
-- Analyses of an underlying from start to before end.
SELECT * FROM gex_summary
WHERE underlying = %(underlying)s AND timestamp >= %(start)s AND timestamp < %(end)s
ORDER BY timestamp

-- forget_after --
-- Drop what a simulated market said of a time that is now to be simulated anew; the latest rows speak of that time.
WITH quotes AS (DELETE FROM underlying_quotes WHERE timestamp >= %(instant)s),
     chains AS (DELETE FROM option_chains WHERE timestamp >= %(instant)s),
     minutes AS (DELETE FROM chain_minutes WHERE timestamp >= %(instant)s),
     totals AS (DELETE FROM flow_totals WHERE timestamp >= %(instant)s),
     strikes AS (DELETE FROM flow_strikes WHERE timestamp >= %(instant)s),
     expirations AS (DELETE FROM flow_expirations WHERE timestamp >= %(instant)s),
     prints AS (DELETE FROM flow_prints WHERE timestamp >= %(instant)s),
     summaries AS (DELETE FROM gex_summary WHERE timestamp >= %(instant)s),
     cells AS (DELETE FROM gex_calculations WHERE timestamp >= %(instant)s),
     gex_by_strike AS (DELETE FROM gex_strikes WHERE timestamp >= %(instant)s),
     metrics AS (DELETE FROM ingestion_metrics WHERE timestamp >= %(instant)s),
     batches AS (DELETE FROM ingest_batches WHERE timestamp >= %(instant)s),
     findings AS (DELETE FROM data_quality_log WHERE trading_day >= trading_day(%(instant)s)),
     gaps AS (DELETE FROM data_gaps WHERE ended_at > %(instant)s),
     latest_options AS (DELETE FROM option_latest),
     latest_underlyings AS (DELETE FROM underlying_latest)
DELETE FROM gex_live

-- record_metric --
-- What ingest measured in a minute; the same minute again replaces it.
INSERT INTO ingestion_metrics (underlying, timestamp, metric, value)
VALUES (%(underlying)s, %(timestamp)s, %(metric)s, %(value)s)
ON CONFLICT (underlying, timestamp, metric) DO UPDATE SET value = excluded.value

-- declare_gap --
-- Say that minutes are missing, or brought nothing new; a gap that grows is told again with a later end.
INSERT INTO data_gaps AS old (underlying, what, subject, started_at, ended_at, reason, contracts)
VALUES (%(underlying)s, %(what)s, %(subject)s, %(started_at)s, %(ended_at)s, %(reason)s, %(contracts)s)
ON CONFLICT (underlying, what, subject, reason, started_at) DO UPDATE SET
    ended_at = greatest(old.ended_at, excluded.ended_at), contracts = greatest(old.contracts, excluded.contracts)

-- declared_gaps --
-- What ingest declared missing that ended after an instant, oldest first.
SELECT what, started_at, ended_at, reason, subject, contracts FROM data_gaps
WHERE underlying = %(underlying)s AND ended_at > %(since)s
ORDER BY started_at, what, subject, reason

-- record_finding --
-- Note a finding; found again, it keeps its first date and is open.
INSERT INTO data_quality_log (underlying, trading_day, kind, subject, started_at, ended_at, severity, affected, total,
                              message)
VALUES (%(underlying)s, %(trading_day)s, %(kind)s, %(subject)s, %(started_at)s, %(ended_at)s, %(severity)s,
        %(affected)s, %(total)s, %(message)s)
ON CONFLICT (underlying, trading_day, kind, subject, started_at) DO UPDATE SET
    ended_at = excluded.ended_at, severity = excluded.severity, affected = excluded.affected, total = excluded.total,
    message = excluded.message, checked_at = now(), resolved_at = NULL

-- resolve_findings --
-- What an earlier look at a day found, and this one (begun at the start of this transaction) did not, is mended.
UPDATE data_quality_log SET resolved_at = now()
WHERE underlying = %(underlying)s AND trading_day = %(trading_day)s AND resolved_at IS NULL AND checked_at < now()

-- new_york_time --
-- People read New York time, also where SQL makes text or days of it.
SET LOCAL TIME ZONE 'America/New_York'

-- role_exists --
-- Whether a role is known to the server.
SELECT rolname FROM pg_roles WHERE rolname = %(role)s

-- create_reader --
-- The role of people's own SQL: it can log in and read, nothing else.
CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION CONNECTION LIMIT 10

-- set_password --
-- Whoever holds it may read.
ALTER ROLE {role} PASSWORD {password}

-- not_readable --
-- A row if there is a table or view the reader may not read yet.
SELECT relname FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'm') AND NOT relispartition
  AND NOT has_table_privilege(%(role)s, oid, 'SELECT')
LIMIT 1

-- grant_reading --
-- All tables and views there are.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}

-- set_role --
-- Where the reader cannot log in.
SET ROLE {role}

-- copy_table --
-- A table as CSV.
COPY (SELECT * FROM {table}) TO STDOUT (FORMAT csv, HEADER)

-- stage_table --
-- Where the rows of a saved table arrive.
CREATE TEMPORARY TABLE saved AS SELECT {columns} FROM {table} WHERE false

-- copy_stage --
-- A table that was saved as CSV.
COPY saved ({columns}) FROM STDIN (FORMAT csv, HEADER)

-- ensure_staged_days --
-- Make the partitions that the saved rows need.
SELECT ensure_day(%(parent)s, day)
FROM (SELECT DISTINCT (timestamp AT TIME ZONE 'America/New_York')::date AS day FROM saved ORDER BY 1) AS days

-- unstage_table --
-- The saved rows are the table's.
INSERT INTO {table} ({columns}) SELECT {columns} FROM saved

-- drop_stage --
-- Room for the next table.
DROP TABLE saved

-- truncate --
-- Empty tables with all their partitions.
TRUNCATE {tables}

-- writers_now --
-- Sessions that hold a writer's lock in this database.
SELECT DISTINCT activity.application_name
FROM pg_locks AS held
JOIN pg_stat_activity AS activity ON activity.pid = held.pid
JOIN pg_database AS base ON base.oid = held.database AND base.datname = current_database()
WHERE held.locktype = 'advisory' AND held.granted AND held.objsubid = 2
  AND held.classid::bigint = hashtext('zerogex writer')::bigint & 4294967295
ORDER BY 1

-- vacuum_timeouts --
-- Maintenance takes the time it takes, but does not queue behind a lock for ever.
SELECT set_config('statement_timeout', '0', false), set_config('lock_timeout', '60s', false)

-- tables --
-- Our tables, without their partitions.
SELECT relname FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
ORDER BY relname

-- vacuum --
-- Give space back to the table and renew what the planner knows of it.
VACUUM (ANALYZE) {table}

-- materialized_views --
-- Those of operators: ZeroGEX has none, it writes what its views add up with each minute.
SELECT schemaname, matviewname FROM pg_matviews WHERE pg_has_role(matviewowner, 'USAGE') ORDER BY 1, 2

-- refresh_view --
-- Compute it anew.
REFRESH MATERIALIZED VIEW {view}

-- minutes_to_sum --
-- Every stored chain, oldest first; or only those whose flow is computed when asked.
SELECT underlying, timestamp FROM flow_minutes WHERE %(all)s OR NOT summed ORDER BY underlying, timestamp

-- sum_flow_of_minute --
-- What its flow adds up to, from option_chains.
SELECT sum_flow_of_minute(%(underlying)s, %(timestamp)s)

-- orphaned_sums --
-- Minutes that are summed but no longer stored.
SELECT underlying, timestamp FROM flow_totals AS totals
WHERE NOT EXISTS (SELECT FROM chain_minutes AS minute WHERE minute.underlying = totals.underlying
                  AND minute.timestamp = totals.timestamp AND minute.contracts > 0)

-- database_facts --
-- Server version, TimescaleDB's version, size in bytes, connections.
SELECT current_setting('server_version'), (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'),
       pg_database_size(current_database()),
       (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database())

-- timescale_available --
-- The version of TimescaleDB this server could load, if any.
SELECT coalesce(installed_version, default_version) FROM pg_available_extensions WHERE name = 'timescaledb'

-- timescale_extension --
-- Works only where shared_preload_libraries names it.
CREATE EXTENSION IF NOT EXISTS timescaledb

-- partitioned_tables --
-- Tables kept by day in partitions of our own.
SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'p' ORDER BY relname

-- view_definitions --
-- Our views, each after those it is made of.
SELECT relname, pg_get_viewdef(oid) FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind = 'v'
  AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
ORDER BY oid

-- drop_view --
-- Made again in the same transaction.
DROP VIEW {view}

-- create_view --
-- Followed by its definition.
CREATE VIEW {view} AS 

-- set_aside --
-- Until its rows are moved.
ALTER TABLE {table} RENAME TO {aside}

-- plain_copy --
-- The same columns, checks, keys and indexes, without partitions.
CREATE TABLE {table} (LIKE {aside} INCLUDING ALL)

-- create_hypertable --
-- Chunks of a day, as our partitions were.
SELECT create_hypertable(%(table)s::regclass, by_range('timestamp', INTERVAL '1 day'), create_default_indexes => false)

-- move_rows --
-- All of them.
INSERT INTO {table} SELECT * FROM {aside}

-- drop_aside --
-- With its partitions.
DROP TABLE {aside}

-- no_day_partitions --
-- Hypertables make their chunks themselves.
CREATE OR REPLACE FUNCTION ensure_day(parent text, day date) RETURNS void LANGUAGE sql AS $$ SELECT $$

-- compress --
-- How old chunks are packed.
ALTER TABLE {table} SET (timescaledb.compress, timescaledb.compress_segmentby = {segment},
                         timescaledb.compress_orderby = {order})

-- compression_policy --
-- Pack chunks of that age.
SELECT add_compression_policy(%(table)s::regclass, make_interval(days => %(days)s), if_not_exists => true)

-- retention_policy --
-- Drop chunks of that age.
SELECT add_retention_policy(%(table)s::regclass, make_interval(days => %(days)s), if_not_exists => true)
