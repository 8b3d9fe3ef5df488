/** Whose credentials were taken back: a token, a key, or, with neither, whatever of the account does not hold any more. */
export type Revocation = { tenantId: string; jti?: string; keyId?: string }
export type Revoked = (who: Revocation) => void
