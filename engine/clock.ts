/** Integer nanoseconds of process.hrtime: one origin for all threads, exact in a double for the first 104 days of uptime. */
export const now = (): number => {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e9 + nanoseconds;
};
