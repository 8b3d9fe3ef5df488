/** API keys: many for an account, each with its limits. */
import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import type { Access } from '../access/access'
import type { Clock } from '../lib/clock'
import { ApiKeyOnce, checkedLimits, KeyChangeBody, KeyView, keyView, NewKeyBody } from './account-view'
import { answer, notes, says } from './docs'
import { type Guard, type SessionGate, wholeAccount } from './guard'
import type { Idempotent } from './idempotent'
import { readJson } from './json'

export type KeyRoutesParts = {
  guard: Guard
  gate: SessionGate
  access: Pick<Access, 'holdsAll' | 'listKeys' | 'createKey' | 'changeKey' | 'removeKey' | 'regenerateKey'>
  idempotent: Idempotent
  clock: Clock
}

const tags = ['Authentication']
const CREATED = 'API key created successfully'
const CHANGED = 'API key updated successfully'
const DELETED = 'API key deleted successfully'
const REGENERATED = 'API key regenerated successfully'
const params = Type.Object({ id: Type.String({ description: 'Key id' }) })

/** Makes the routes, which stand under `/api/auth`. */
export function keyRoutes({ guard, gate, access, idempotent, clock }: KeyRoutesParts) {
  return new Elysia({ normalize: false })
    .use(guard)
    .post(
      '/regenerate-api-key',
      async ({ caller }) => {
        const { apiKey } = await access.regenerateKey(caller.principal)
        return { success: true as const, message: REGENERATED, apiKey }
      },
      {
        access: 'account',
        response: { 200: answer({ message: says(REGENERATED), apiKey: ApiKeyOnce }) },
        detail: notes({
          summary: 'Replace the default API key',
          description: 'The old key stops working at once.',
          tags,
          errors: ['FORBIDDEN'],
        }),
      },
    )
    .get(
      '/api-keys',
      ({ caller }) => {
        const apiKeys = access.listKeys(caller.principal).map(keyView)
        return { success: true as const, apiKeys, total: apiKeys.length }
      },
      {
        access: 'account',
        response: { 200: answer({ apiKeys: Type.Array(KeyView), total: Type.Integer() }) },
        detail: notes({ summary: 'List API keys', tags, errors: ['FORBIDDEN'] }),
      },
    )
    .post(
      '/api-keys',
      (context) => {
        const { caller, body } = context
        // Before the first answer is given again: the key in it can do more than who may not make one.
        wholeAccount(caller)
        access.holdsAll(caller.principal)
        return idempotent(
          context,
          async () => {
            const limits = checkedLimits({ gate, now: clock.now() }, caller, body)
            const { key, apiKey } = await access.createKey(caller.principal, { name: body.name, ...limits })
            return { success: true as const, message: CREATED, key: keyView(key), apiKey }
          },
          201,
        )
      },
      {
        parse: readJson,
        access: 'account',
        body: NewKeyBody,
        response: { 201: answer({ message: says(CREATED), key: KeyView, apiKey: ApiKeyOnce }) },
        detail: notes({
          summary: 'Create an API key',
          description:
            'With sessionIds no other session exists for it, and what concerns the account as a whole is refused.',
          tags,
          errors: ['FORBIDDEN', 'SESSION_NOT_FOUND', 'API_KEY_LIMIT_REACHED'],
          requestExample: {
            name: 'Reporting',
            scopes: ['sessions:read', 'messages:read'],
            ipAllowlist: ['203.0.113.0/24'],
            expiresAt: '2030-01-01T00:00:00.000Z',
          },
          headers: { 'Idempotency-Key': 'Repeats of the request get the first answer again for 24 hours' },
        }),
      },
    )
    .patch(
      '/api-keys/:id',
      async ({ caller, params, body: { name, ...body } }) => {
        wholeAccount(caller)
        const limits = checkedLimits({ gate, now: clock.now() }, caller, body)
        const change = { ...(name === undefined ? {} : { name }), ...limits }
        const key = await access.changeKey(caller.principal, params.id, change)
        return { success: true as const, message: CHANGED, key: keyView(key) }
      },
      {
        parse: readJson,
        access: 'account',
        params,
        body: KeyChangeBody,
        response: { 200: answer({ message: says(CHANGED), key: KeyView }) },
        detail: notes({
          summary: 'Change name and limits of an API key',
          description: 'What is not named stays. Streams that it has open and may not have any more end.',
          tags,
          errors: ['FORBIDDEN', 'API_KEY_NOT_FOUND', 'SESSION_NOT_FOUND'],
          requestExample: { expiresAt: null },
        }),
      },
    )
    .delete(
      '/api-keys/:id',
      async ({ caller, params }) => {
        await access.removeKey(caller.principal, params.id)
        return { success: true as const, message: DELETED }
      },
      {
        access: 'account',
        params,
        response: { 200: answer({ message: says(DELETED) }) },
        detail: notes({
          summary: 'Delete an API key',
          description: 'It stops working at once.',
          tags,
          errors: ['FORBIDDEN', 'API_KEY_NOT_FOUND'],
        }),
      },
    )
}
