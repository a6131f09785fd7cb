import { createRequire } from 'node:module'
import { UnsupportedCompressionError } from '../errors.ts'

const require = createRequire(import.meta.url)

/** The path of a codec's package, or of a file beside its entry. Throws {@link UnsupportedCompressionError}. */
export function resolveCodecLibrary(name: string): string {
  return attempt(name, () => require.resolve(name))
}

/**
 * Loads the package (or absolute path) of a codec, synchronously and only once. Called on first use: most logs hold
 * one codec, and each native library costs start-up time. Throws {@link UnsupportedCompressionError} where the package
 * has no binary for this platform.
 */
export function loadCodecLibrary(name: string): unknown {
  return attempt(name, () => require(name) as unknown)
}

function attempt<T>(name: string, load: () => T): T {
  try {
    return load()
  } catch (cause) {
    throw new UnsupportedCompressionError(`the codec library ${name} does not load here`, {
      hint: 'Install kafkats with its dependencies for this platform and architecture.',
      cause,
    })
  }
}
