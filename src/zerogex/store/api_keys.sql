-- What is done with API keys; docs/api.md says what they are.  Times are the machine's.

-- add_key --
-- Remember a new key by its digest.
INSERT INTO api_keys (key_id, name, digest, scopes, requests_per_minute, expires_at)
VALUES (%(key_id)s, %(name)s, %(digest)s, %(scopes)s, %(requests_per_minute)s, %(expires_at)s)

-- find_key --
-- The key of a digest, if it is good now; a revoked or expired one is not found, like one that never was.
SELECT key_id, name, scopes, requests_per_minute, created_at, expires_at, revoked_at, last_used_at
FROM api_keys
WHERE digest = %(digest)s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())

-- all_keys --
-- Every key ever made, newest last.
SELECT key_id, name, scopes, requests_per_minute, created_at, expires_at, revoked_at, last_used_at
FROM api_keys
ORDER BY created_at, key_id

-- revoke_key --
-- End a key at an instant, or now; an earlier end stays.
UPDATE api_keys
SET revoked_at = CASE WHEN %(at)s::timestamptz IS NULL THEN now() ELSE revoked_at END,
    expires_at = CASE WHEN %(at)s::timestamptz IS NULL THEN expires_at ELSE least(expires_at, %(at)s) END
WHERE key_id = %(key_id)s AND revoked_at IS NULL
RETURNING key_id

-- note_key_use --
-- Remember when a key was used last.
UPDATE api_keys SET last_used_at = now() WHERE key_id = %(key_id)s
