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
