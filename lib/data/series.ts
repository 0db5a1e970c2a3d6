/** Columns of numbers over time, the earliest row first. */
export interface Series {
  /** names of the C columns */
  columns: string[];
  /** number of rows R */
  rows: number;
  /** [R, C], row-major, every one finite */
  values: Float64Array;
  /** index in `columns` of the column to forecast */
  target: number;
}
