// Time that is left, as the shop counts it: this device's clock is never asked what time it is.

/** Calls `tick(seconds)` about each second until none are left. Returns what ends it. */
export function countdown(seconds, tick) {
  const end = performance.now() + seconds * 1000;
  let timer;
  const step = () => {
    const left = (end - performance.now()) / 1000;
    tick(Math.max(0, left));
    if (left <= 0) return;
    timer = setTimeout(step, Math.min(1000, 1000 * (left - Math.floor(left)) + 20));
  };
  step();
  return () => clearTimeout(timer);
}

export function clockFace(seconds) {
  const whole = Math.ceil(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

export function spoken(seconds) {
  const whole = Math.round(seconds);
  return whole >= 60 ? `${Math.round(whole / 60)} minutes` : `${whole} seconds`;
}
