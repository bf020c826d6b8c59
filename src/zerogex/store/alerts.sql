-- Alerts: rules, where each stands, what was told, and the way of each message to each channel.  Times of the outbox are
-- the database's: several machines share it.

-- alert_rules --
-- Every rule, oldest first.
SELECT rule_id::text, underlying, field, direction, threshold, threshold_field, band, band_percent, cooldown_s, created_at
FROM alert_rules
ORDER BY rule_id

-- add_alert_rule --
-- Remember a new rule.
INSERT INTO alert_rules (underlying, field, direction, threshold, threshold_field, band, band_percent, cooldown_s)
VALUES (%(underlying)s, %(field)s, %(direction)s, %(threshold)s, %(threshold_field)s, %(band)s, %(band_percent)s, %(cooldown_s)s)
RETURNING rule_id::text

-- remove_alert_rule --
-- Forget a rule and where it stood; what it told stays.
WITH standing AS (DELETE FROM alert_standings WHERE rule_id = %(rule_id)s)
DELETE FROM alert_rules WHERE rule_id::text = %(rule_id)s RETURNING rule_id

-- alert_standings --
-- Where every rule stood when it was last looked at.
SELECT rule_id, side, crossings, told_at FROM alert_standings

-- stand_alert_rule --
-- Where a rule stands now, unless another process moved it since we looked.
INSERT INTO alert_standings AS known (rule_id, side, crossings, told_at)
VALUES (%(rule_id)s, %(side)s, %(crossings)s, %(told_at)s)
ON CONFLICT (rule_id) DO UPDATE SET side = excluded.side, crossings = excluded.crossings, told_at = excluded.told_at
WHERE known.crossings = %(before)s
RETURNING rule_id

-- raise_alert --
-- Remember an alert; nothing where it is known.
INSERT INTO alerts (alert_id, rule_id, underlying, timestamp, side, title, message, value, threshold, simulated)
VALUES (%(alert_id)s, %(rule_id)s, %(underlying)s, %(at)s, %(side)s, %(title)s, %(text)s, %(value)s, %(threshold)s, %(simulated)s)
ON CONFLICT DO NOTHING

-- address_alert --
-- Put an alert in the outbox of each channel.
INSERT INTO alert_deliveries (alert_id, channel)
SELECT %(alert_id)s, unnest(%(channels)s::text[])
ON CONFLICT DO NOTHING

-- claim_alert --
-- The oldest undelivered alert of a channel, if its time has come: ours for `lease_s` seconds.
UPDATE alert_deliveries AS mine
SET attempts = mine.attempts + 1, next_try_at = now() + make_interval(secs => %(lease_s)s)
FROM (
    SELECT open.alert_id, open.channel
    FROM alert_deliveries AS open JOIN alerts USING (alert_id)
    WHERE open.channel = %(channel)s AND open.delivered_at IS NULL AND open.given_up_at IS NULL
    ORDER BY alerts.created_at, open.alert_id
    LIMIT 1
    FOR UPDATE OF open
) AS oldest JOIN alerts USING (alert_id)
WHERE mine.alert_id = oldest.alert_id AND mine.channel = oldest.channel AND mine.next_try_at <= now()
RETURNING alerts.alert_id, alerts.rule_id, alerts.underlying, alerts.timestamp, alerts.side, alerts.title, alerts.message,
          alerts.value, alerts.threshold, alerts.simulated, mine.channel, mine.attempts,
          extract(epoch FROM now() - alerts.created_at)::float8

-- settle_alert --
-- What became of a try: delivered, to be tried again after `wait_s`, or (NULL) given up.
UPDATE alert_deliveries
SET delivered_at = CASE WHEN %(error)s::text IS NULL THEN now() END,
    given_up_at = CASE WHEN %(error)s::text IS NOT NULL AND %(wait_s)s::float8 IS NULL THEN now() END,
    next_try_at = now() + make_interval(secs => coalesce(%(wait_s)s::float8, 0)),
    last_error = %(error)s
WHERE alert_id = %(alert_id)s AND channel = %(channel)s AND delivered_at IS NULL

-- note_alert_channel --
-- What is known of a channel: somebody delivers to it, and how its last try ended (`tried` is false: none since).
INSERT INTO alert_channels AS known (channel, place, failing_since, last_error, last_delivered_at)
VALUES (%(channel)s, %(place)s, CASE WHEN %(error)s::text IS NOT NULL THEN now() END, %(error)s,
        CASE WHEN %(tried)s AND %(error)s::text IS NULL THEN now() END)
ON CONFLICT (channel) DO UPDATE SET
    place = excluded.place,
    checked_at = now(),
    failing_since = CASE WHEN NOT %(tried)s THEN known.failing_since
                         WHEN %(error)s::text IS NOT NULL THEN coalesce(known.failing_since, now()) END,
    last_error = CASE WHEN %(tried)s THEN %(error)s::text ELSE known.last_error END,
    last_delivered_at = CASE WHEN %(tried)s AND %(error)s::text IS NULL THEN now() ELSE known.last_delivered_at END

-- forget_alert_channels --
-- Channels that are no longer configured, and what waits for them.
WITH waiting AS (
    UPDATE alert_deliveries SET given_up_at = now(), last_error = 'the channel is no longer configured'
    WHERE NOT channel = ANY(%(channels)s) AND delivered_at IS NULL AND given_up_at IS NULL
)
DELETE FROM alert_channels WHERE NOT channel = ANY(%(channels)s)

-- alert_channels --
-- How each channel does, and what waits for it.
SELECT known.channel, known.place, known.checked_at, count(open.alert_id)::int, min(alerts.created_at), known.last_delivered_at,
       known.failing_since, known.last_error, extract(epoch FROM now() - known.checked_at)::float8
FROM alert_channels AS known
LEFT JOIN alert_deliveries AS open
    ON open.channel = known.channel AND open.delivered_at IS NULL AND open.given_up_at IS NULL
LEFT JOIN alerts ON alerts.alert_id = open.alert_id
GROUP BY known.channel
ORDER BY known.channel

-- alert_log --
-- The newest alerts with what became of each, newest first.
SELECT alerts.alert_id, alerts.created_at, alerts.timestamp, alerts.rule_id, alerts.underlying, alerts.title, alerts.message,
       alerts.value, alerts.threshold, alerts.simulated,
       coalesce(jsonb_agg(jsonb_build_object(
           'channel', sent.channel, 'attempts', sent.attempts, 'delivered_at', sent.delivered_at,
           'given_up_at', sent.given_up_at, 'last_error', sent.last_error) ORDER BY sent.channel)
           FILTER (WHERE sent.channel IS NOT NULL), '[]') AS deliveries
FROM alerts LEFT JOIN alert_deliveries AS sent USING (alert_id)
WHERE %(underlying)s::text IS NULL OR alerts.underlying = %(underlying)s
GROUP BY alerts.alert_id
ORDER BY alerts.created_at DESC, alerts.alert_id DESC
LIMIT %(limit)s
