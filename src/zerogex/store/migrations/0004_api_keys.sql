-- Who may ask over the network.  A key itself is never stored: only its SHA-256.

CREATE TABLE api_keys (
    key_id              text PRIMARY KEY CHECK (key_id ~ '^[a-z0-9]{8,16}$'),
    name                text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    digest              bytea NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    scopes              text[] NOT NULL CHECK (cardinality(scopes) > 0),
    requests_per_minute integer NOT NULL CHECK (requests_per_minute > 0),
    created_at          timestamptz NOT NULL DEFAULT now(),
    expires_at          timestamptz,
    revoked_at          timestamptz,
    last_used_at        timestamptz
);
