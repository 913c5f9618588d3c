// Types of preflight.js, which is plain JavaScript so that an old Node can read it.

export const EXIT_UNFIT: number
export function fits(version: string): boolean
export function unfitSentence(version: string): string
export function packagedNodes(root: string): string[]
export function requireNode(script: string, parameters: string[]): Promise<void>
export function cardIsStale(root: string): boolean
export function requireCard(): Promise<void>
