/**
 * A cell of a CSV file as RFC 4180 has it. Text that a spreadsheet would take for a formula, because it begins with = + - @ or with a tab or line
 * end, gets an apostrophe before it, which spreadsheets take for "this is text"; numbers stay as they are.
 */
export function csvCell(value: string | number | null | undefined): string {
  const text = typeof value === 'string' ? value.replace(/^(?=[=+\-@\t\r\n])/, "'") : String(value ?? '');
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
