/** What a command refuses with; `code` is stable: usage, not-found, unsupported, failed. */
export class CommandError extends Error {
  readonly code: string
  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}
