-- What the feed's faults need to be known by every process: requests to the vendor counted for the whole account,
-- why the feed cannot be heard, and how old the price was that an analysis stands on.

CREATE TABLE vendor_requests (
    account       text NOT NULL,
    resource      text NOT NULL,
    sent          timestamptz[] NOT NULL DEFAULT '{}',
    blocked_until timestamptz NOT NULL DEFAULT '-infinity',
    granted       boolean NOT NULL DEFAULT false,
    PRIMARY KEY (account, resource)
);

ALTER TABLE feed_state ADD COLUMN trouble text, ADD COLUMN trouble_since timestamptz;

ALTER TABLE gex_summary ADD COLUMN spot_age_s double precision CHECK (spot_age_s BETWEEN -1e300 AND 1e300);
