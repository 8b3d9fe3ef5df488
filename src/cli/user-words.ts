/** Verbs and flags of `wabun user`. */
import { PLANS } from '../domain/principal'

export const USER_VERBS = {
  list: 'all accounts',
  create: 'a new account; the first one owns the server',
  'reset-password': 'a new password for an account; its tokens are void',
} as const
export const USER_FLAGS = {
  '--username': 'of the account',
  '--email': 'of a new account',
  '--role': 'admin or user, of a new account [user]',
  '--plan': `${PLANS.join(', ')}, of a new account [DEFAULT_PLAN]`,
  '--password-stdin': 'read the password from standard input instead of making one',
} as const
