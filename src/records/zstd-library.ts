import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import * as zlib from 'node:zlib'
import type { KafkatsError } from '../errors.ts'
import { loadCodecLibrary, resolveCodecLibrary } from './codec-library.ts'

/** The two calls that {@link writeZstd} and {@link readZstd} need, synchronous. */
export interface ZstdLibrary {
  /** One frame. */
  compress(bytes: Buffer, level: number): Buffer
  /**
   * The content of one whole frame, or undefined when it is more than `maxBytes`: no more than that is set aside.
   * Throws what `broken` makes for a frame that does not decode.
   */
  decompress(
    frame: Buffer,
    maxBytes: number,
    broken: (message: string, cause?: unknown) => KafkatsError,
  ): Buffer | undefined
}

interface NativeCalls {
  zstdCompressSync(bytes: Buffer, options: { params: Record<number, number> }): Buffer
  zstdDecompressSync(bytes: Buffer, options: { maxOutputLength: number; chunkSize: number }): Buffer
}

/** ZSTD_c_compressionLevel; its name in node:zlib's constants is newer than the typings. */
const COMPRESSION_LEVEL_PARAMETER = 100
const CHUNK_BYTES = 128 * 1024
/** Z_MIN_CHUNK */
const SMALLEST_CHUNK_BYTES = 64

/** node:zlib's zstd, or undefined before Node 22.15. */
export function nativeZstd(): ZstdLibrary | undefined {
  if (!('zstdDecompressSync' in zlib)) return undefined
  const calls = zlib as unknown as NativeCalls
  return {
    compress: (bytes, level) =>
      calls.zstdCompressSync(bytes, { params: { [COMPRESSION_LEVEL_PARAMETER]: level } }),
    decompress: (frame, maxBytes, broken) => {
      try {
        const content = calls.zstdDecompressSync(frame, {
          maxOutputLength: Math.max(1, maxBytes), // node wants at least 1
          chunkSize: Math.min(CHUNK_BYTES, Math.max(SMALLEST_CHUNK_BYTES, maxBytes)),
        })
        return content.length > maxBytes ? undefined : content
      } catch (cause) {
        if (cause instanceof Error && 'code' in cause && cause.code === 'ERR_BUFFER_TOO_LARGE') {
          return undefined
        }
        throw broken('it is broken', cause)
      }
    },
  }
}

/** The part of `WebAssembly` in use; Node's typings leave it out. */
interface WebAssemblyGlobal {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => object
}

/** Emscripten's module object as @bokuweb/zstd-wasm builds it. Sizes and addresses are int32. */
interface WasmModule {
  instantiateWasm?: (imports: object, receive: (instance: object) => void) => object
  init(bytes: Uint8Array): void
  readonly HEAPU8: Uint8Array
  _malloc(bytes: number): number
  _free(address: number): void
  _ZSTD_isError(code: number): number
  _ZSTD_compressBound(bytes: number): number
  _ZSTD_compress(to: number, room: number, from: number, bytes: number, level: number): number
  _ZSTD_decompress(to: number, room: number, from: number, bytes: number): number
}

/** ZSTD_error_dstSize_tooSmall. */
const ERROR_NO_ROOM = -70
/** First guess of a content size; the heap of a WebAssembly module never shrinks again. */
const FIRST_GUESS_BYTES = 1024 * 1024
const GROWTH = 4

/** zstd in WebAssembly: no native part, so it serves every platform where node:zlib has none. */
export function wasmZstd(): ZstdLibrary {
  const module = loadWasm()
  return {
    compress: (bytes, level) => {
      const room = module._ZSTD_compressBound(bytes.length)
      return withMemory(module, bytes, room, (to, from) => {
        const size = module._ZSTD_compress(to, room, from, bytes.length, level)
        if (module._ZSTD_isError(size) !== 0)
          throw new Error(`zstd cannot compress: error ${-size}`)
        return copyOut(module, to, size)
      })
    },
    decompress: (frame, maxBytes, broken) => {
      // The bound from the block headers may be far above the truth, so room grows towards it.
      let room = Math.min(maxBytes, Math.max(FIRST_GUESS_BYTES, frame.length * GROWTH))
      for (;;) {
        const content = withMemory(module, frame, room, (to, from) => {
          const size = module._ZSTD_decompress(to, room, from, frame.length)
          if (module._ZSTD_isError(size) === 0) return copyOut(module, to, size)
          if (size === ERROR_NO_ROOM) return undefined
          throw broken(`it is broken (zstd error ${-size})`)
        })
        if (content !== undefined || room === maxBytes) return content
        room = Math.min(maxBytes, room * GROWTH)
      }
    },
  }
}

/**
 * The package's own init() is asynchronous only because it compiles the module that way: its glue code also takes an
 * instance from the `instantiateWasm` hook, at once. The glue is not among the package's exports, so it is loaded by path.
 */
function loadWasm(): WasmModule {
  const folder = dirname(resolveCodecLibrary('@bokuweb/zstd-wasm'))
  const glue = loadCodecLibrary(join(folder, 'zstd.js')) as { Module: WasmModule }
  const bytes = readFileSync(join(folder, 'zstd.wasm'))
  const { WebAssembly: wasm } = globalThis as unknown as { WebAssembly: WebAssemblyGlobal }
  glue.Module.instantiateWasm = (imports, receive) => {
    receive(new wasm.Instance(new wasm.Module(bytes), imports))
    return {}
  }
  glue.Module.init(bytes)
  return glue.Module
}

/** Copies `input` into the module's heap with `room` bytes beside it, and frees both afterwards. */
function withMemory<T>(
  module: WasmModule,
  input: Buffer,
  room: number,
  use: (to: number, from: number) => T,
): T {
  const to = module._malloc(Math.max(1, room))
  const from = module._malloc(Math.max(1, input.length))
  try {
    if (to === 0 || from === 0) throw new Error(`zstd has no memory for ${room} bytes`)
    module.HEAPU8.set(input, from)
    return use(to, from)
  } finally {
    module._free(from)
    module._free(to)
  }
}

function copyOut(module: WasmModule, address: number, size: number): Buffer {
  return Buffer.from(module.HEAPU8.subarray(address, address + size))
}
