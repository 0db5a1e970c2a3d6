/** Where pages and reports look for it. */
export { formatTable } from '../text-table';
