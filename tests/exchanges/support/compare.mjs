// Finds where two values differ.

const show = (value) => {
  const text = value === undefined ? "nothing" : JSON.stringify(value);
  return text.length > 160 ? `${text.slice(0, 160)}…` : text;
};
const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/// One line per place where `got` is not what was `wanted`. Below members in `named` only those that
/// `wanted` has are looked at.
export function differences(wanted, got, { named = [], at = "" } = {}) {
  const inside = (key) => ({ named, at: at ? `${at}.${key}` : `${key}` });
  if (Array.isArray(wanted) && Array.isArray(got)) {
    const length = wanted.length === got.length ? [] : [`${at}: ${got.length} instead of ${wanted.length} entries, ${show(got)}`];
    const shorter = wanted.slice(0, got.length);
    return [...length, ...shorter.flatMap((value, index) => differences(value, got[index], inside(index)))];
  }
  if (isObject(wanted) && isObject(got)) {
    const keys = named.includes(at) ? Object.keys(wanted) : new Set([...Object.keys(wanted), ...Object.keys(got)]);
    return [...keys].flatMap((key) => differences(wanted[key], got[key], inside(key)));
  }
  return Object.is(wanted, got) ? [] : [`${at || "all"}: ${show(got)} instead of ${show(wanted)}`];
}

/// The members of `value` at these paths ("choices.0.message"), by path.
export function pick(value, paths) {
  const at = (path) => path.split(".").reduce((inner, key) => inner?.[key], value);
  return Object.fromEntries(paths.map((path) => [path, at(path)]));
}
