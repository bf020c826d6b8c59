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
