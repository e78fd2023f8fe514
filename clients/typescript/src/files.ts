import { isObject } from "./errors.js";

/** The bytes of a file. */
export type FileContent = Blob | Uint8Array | ArrayBuffer;

/** A body for `fetch`, and its size in bytes as far as it is known. */
export interface Body {
  body: string | FormData;
  headers: Record<string, string>;
  size: number;
}

const EXTENSIONS: Record<string, string> = {
  "image/png": "png",
  "image/jpeg": "jpg",
  "image/webp": "webp",
  "image/gif": "gif",
  "image/avif": "avif",
  "video/mp4": "mp4",
  "video/webm": "webm",
  "video/quicktime": "mov",
  "audio/mpeg": "mp3",
  "audio/wav": "wav",
  "audio/flac": "flac",
  "audio/ogg": "ogg",
};
/** The first bytes of files by their extension, after an offset. */
const SIGNATURES: [string, number, string][] = [
  ["png", 1, "PNG"],
  ["jpg", 0, "\xff\xd8\xff"],
  ["gif", 0, "GIF8"],
  ["webp", 8, "WEBP"],
  ["wav", 8, "WAVE"],
  ["avif", 4, "ftypavif"],
  ["mp4", 4, "ftyp"],
  ["webm", 0, "\x1aE\xdf\xa3"],
  ["flac", 0, "fLaC"],
  ["ogg", 0, "OggS"],
  ["mp3", 0, "ID3"],
];

/**
 * Return the body of a request. With files it is a form whose part `request` has the JSON, else it is JSON.
 *
 * Files among the parameters of a template are sent as parts as well, and the parameter has the name of its part.
 */
export function bodyOf(request: Record<string, unknown>): Body {
  const { files: given, ...fields } = request;
  const files = new Map<string, FileContent>(Object.entries((given ?? {}) as Record<string, FileContent>));
  if (isObject(fields["params"])) fields["params"] = withNames(fields["params"], "", files);
  const json = JSON.stringify(fields);
  if (!files.size) return { body: json, headers: { "Content-Type": "application/json" }, size: json.length };
  const form = new FormData();
  form.append("request", new Blob([json], { type: "application/json" }));
  let size = json.length;
  for (const [name, content] of files) {
    if (!isContent(content))
      throw new TypeError(`files[${JSON.stringify(name)}] must be a Blob, a Uint8Array or an ArrayBuffer`);
    const blob = content instanceof Blob ? content : new Blob([content as Uint8Array<ArrayBuffer>]);
    form.append(name, blob, name);
    size += blob.size;
  }
  return { body: form, headers: {}, size };
}

/** Return a value in which each file is replaced by a name, under which it is added to `files`. */
function withNames(value: unknown, path: string, files: Map<string, FileContent>): unknown {
  if (isContent(value)) {
    let name = nameOf(value, path || "file");
    while (files.has(name)) name = `_${name}`;
    files.set(name, value);
    return name;
  }
  const inner = (key: string | number, item: unknown) => withNames(item, path ? `${path}-${key}` : String(key), files);
  if (Array.isArray(value)) return value.map((item, index) => inner(index, item));
  return isObject(value)
    ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, inner(key, item)]))
    : value;
}

/** Return the name of a parameter's file. Nodes choose by the extension how they read a file. */
function nameOf(content: FileContent, parameter: string): string {
  const extension =
    content instanceof Blob
      ? (EXTENSIONS[content.type] ?? extensionOf((content as { name?: string }).name))
      : sniffed(content);
  return extension ? `${parameter}.${extension}` : parameter;
}

/** Return the extension of a file name, or undefined. */
function extensionOf(name: string | undefined): string | undefined {
  return name?.match(/\.([A-Za-z0-9]{1,8})$/)?.[1]?.toLowerCase();
}

/** Return the extension for the first bytes of a file, or undefined. */
function sniffed(content: Uint8Array | ArrayBuffer): string | undefined {
  const head =
    content instanceof Uint8Array
      ? content.subarray(0, 16)
      : new Uint8Array(content, 0, Math.min(16, content.byteLength));
  const text = String.fromCharCode(...head);
  return SIGNATURES.find(([, offset, signature]) => text.startsWith(signature, offset))?.[0];
}

/** Return whether a value is a file. */
function isContent(value: unknown): value is FileContent {
  return value instanceof Blob || value instanceof Uint8Array || value instanceof ArrayBuffer;
}

/** Return the bytes of base64. */
export function fromBase64(text: string): Uint8Array {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let index = 0; index < binary.length; index++) bytes[index] = binary.charCodeAt(index);
  return bytes;
}

/** Return arguments of a handler as JSON values. Bytes have the form in which a worker reads them. */
export function encoded(value: unknown): unknown {
  if (value instanceof ArrayBuffer) return encoded(new Uint8Array(value));
  if (value instanceof Uint8Array) return { media_type: "application/octet-stream", data: toBase64(value) };
  if (Array.isArray(value)) return value.map(encoded);
  return isObject(value) && Object.getPrototypeOf(value) === Object.prototype
    ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, encoded(item)]))
    : value;
}

/** Return bytes as base64. A call with all bytes of a large file would exceed the limit on arguments. */
function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (let start = 0; start < bytes.length; start += 8192)
    binary += String.fromCharCode(...bytes.subarray(start, start + 8192));
  return btoa(binary);
}
