/** Why a data directory is not opened. */
export type RefusalReason =
  | 'in_use'
  | 'newer_database'
  | 'changed_migration'
  | 'wrong_master_key'
  | 'unusable'

/** Thrown by `openStorage`; the sentence tells the operator what to do. The process should end with exit code 78. */
export class StorageRefused extends Error {
  constructor(
    readonly reason: RefusalReason,
    says: string,
  ) {
    super(says)
    this.name = 'StorageRefused'
  }
}
