// What a cell runs before any code of a customer: reading, calling, and writing values as text.
//
// Evaluated once for each call, in an engine that nobody has used, so what the customer's code changes here harms its
// own answer only; the server reads that with suspicion. Clock and chance come from the execution, and what tells time
// or other threads in another way is taken away: a run that is done again gives the same.
(function () {
  "use strict";

  const BLANK = " \t\n\r\v\f\u00a0\ufeff\u2028\u2029";
  const FUNCTION = "function";
  const MOST_TRIES = 200;
  const MOST_DEPTH = 100;
  const TAKEN_AWAY = [
    "performance", "Atomics", "SharedArrayBuffer", "WeakRef", "FinalizationRegistry", "queueMicrotask", "escape", "unescape",
  ];

  const parse = JSON.parse, stringify = JSON.stringify, fromEntries = Object.fromEntries, keysOf = Object.keys;
  const evaluate = globalThis.eval, construct = Reflect.construct, isArray = Array.isArray, Text = String;
  const Make = Function, RealDate = Date, Bytes = Uint8Array, fromHex = Uint8Array.fromHex;
  const isFinite = Number.isFinite, isBuffer = ArrayBuffer.isView, timeOf = (date) => RealDate.prototype.getTime.call(date);

  // -- Parsing, which runs nothing ------------------------------------------------------------------------------------

  function parses(...parts) {
    try {
      Make(...parts);
      return "";
    } catch (error) {
      return told(error);
    }
  }

  function told(error) {
    const line = /<input>:(\d+):/.exec(Text(error.stack));
    // The engine puts two lines of its own before the text of a function.
    const place = line === null ? "" : ` (line ${Math.max(1, Number(line[1]) - 2)})`;
    return `${error.name}: ${error.message}${place}.`;
  }

  function afterBlank(code, at) {
    for (;;) {
      while (at < code.length && BLANK.includes(code[at])) at += 1;
      const opening = code.slice(at, at + 2);
      if (opening !== "//" && opening !== "/*") return at;
      const end = code.indexOf(opening === "//" ? "\n" : "*/", at + 2);
      if (end < 0) return code.length;
      at = end + (opening === "//" ? 1 : 2);
    }
  }

  function wordAt(code, at) {
    let end = at;
    while (end < code.length && /[\w$]/.test(code[end])) end += 1;
    return code.slice(at, end);
  }

  // Return [name, args], or a sentence that says why this is not one function.
  function described(code) {
    // What can stand alone, between `if` and `else`, and in brackets, and begins with `function`, is one declaration.
    const wrong = parses(code);
    if (wrong !== "") return wrong;
    const from = afterBlank(code, 0);
    if (wordAt(code, from) !== FUNCTION || parses(`if (0) ${code}\nelse ;`) !== "" || parses(`(${code}\n)`) !== "") {
      return "The code must be one function declaration and nothing else: function name(input) { … }.";
    }
    const named = afterBlank(code, from + FUNCTION.length);
    const name = wordAt(code, named);
    const open = afterBlank(code, named + name.length);
    const args = name === "" || code[open] !== "(" ? null : argumentsAt(code, open + 1);
    return args === null ? "The code must begin with a function's name and its arguments in brackets." : [name, args];
  }

  // The arguments end at the first bracket that the parser takes as their end.
  function argumentsAt(code, from) {
    for (let tries = 0, end = code.indexOf(")", from); end >= 0 && tries < MOST_TRIES; tries += 1) {
      const within = code.slice(from, end), body = afterBlank(code, end + 1);
      if (code[body] === "{" && parses(`${within}\n`, "") === "" && parses(`(function (${within}\n)${code.slice(body)}\n)`) === "") {
        return `(${within.trim()})`;
      }
      end = code.indexOf(")", end + 1);
    }
    return null;
  }

  // -- Values as text: [kind, value] for all that JSON has no word for ------------------------------------------------

  function read(value) {
    if (value === null || typeof value !== "object") return value;
    switch (value[0]) {
      case "a": return value[1].map(read);
      case "o": return fromEntries(value[1].map(([key, member]) => [key, read(member)]));
      case "d": return construct(RealDate, [value[1]]);
      default: return fromHex.call(Bytes, value[1]);
    }
  }

  function written(value, depth) {
    switch (typeof value) {
      case "boolean": return value;
      case "number": return isFinite(value) ? value : null;
      case "string": return value.toWellFormed();
      case "bigint": throw new TypeError("A function cannot return a BigInt: return Number(…) or String(…) of it.");
      case "undefined": case "function": case "symbol": return null;
    }
    if (value === null) return null;
    if (depth > MOST_DEPTH) throw new RangeError(`The result is nested deeper than ${MOST_DEPTH} levels, or holds itself.`);
    if (value instanceof RealDate) return isFinite(timeOf(value)) ? ["d", timeOf(value)] : null;
    if (value instanceof Promise) throw new TypeError("A function cannot be asynchronous: it has to return its result.");
    if (isBuffer(value)) return ["b", new Bytes(value.buffer, value.byteOffset, value.byteLength).toHex()];
    if (isArray(value)) {
      const items = [];
      for (let index = 0; index < value.length; index += 1) items.push(written(value[index], depth + 1));
      return ["a", items];
    }
    const members = [];
    for (const key of keysOf(value)) {
      if (typeof value[key] !== "function") members.push([key.toWellFormed(), written(value[key], depth + 1)]);
    }
    return ["o", members];
  }

  // -- Clock and chance -----------------------------------------------------------------------------------------------

  function settle(now, seed) {
    function Clock(...given) {
      if (new.target === undefined) return Text(construct(RealDate, [now]));
      return construct(RealDate, given.length === 0 ? [now] : given, new.target);
    }
    Object.defineProperty(Clock, "name", { value: "Date" });
    Object.defineProperty(Clock, "length", { value: 7 });
    Clock.prototype = RealDate.prototype;
    Clock.now = () => now;
    Clock.parse = RealDate.parse;
    Clock.UTC = RealDate.UTC;
    Object.defineProperty(RealDate.prototype, "constructor", { value: Clock, writable: true, configurable: true });
    Object.defineProperty(globalThis, "Date", { value: Clock, writable: true, configurable: true });
    let state = seed >>> 0;
    Math.random = () => {
      // A counter through a mixing function: as even as a function needs, and nobody's secret.
      state = (state + 0x9e3779b9) >>> 0;
      let mixed = state;
      mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
      mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
      return ((mixed ^ (mixed >>> 15)) >>> 0) / 4294967296;
    };
    for (const name of TAKEN_AWAY) delete globalThis[name];
  }

  return function answer(request) {
    const asked = parse(request);
    if (asked.task === "describe") {
      const found = described(asked.code);
      return stringify(isArray(found) ? { name: found[0], args: found[1] } : { error: found });
    }
    settle(asked.now, asked.seed);
    try {
      const result = evaluate(`(${asked.code}\n)`)(...asked.arguments.map(read));
      return stringify({ result: written(result, 0) });
    } catch (error) {
      let words = "The function threw something that has no text.";
      try {
        words = error instanceof Error ? `${error.name}: ${error.message}` : Text(error);
      } catch {
        // It stays at that.
      }
      return stringify({ error: Text(words).slice(0, 1000).toWellFormed() });
    }
  };
})()
