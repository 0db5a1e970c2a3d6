import { csvCell } from '../../lib/io/csv-cell';

test.each([
  ['=HYPERLINK("http://x","y")', `"'=HYPERLINK(""http://x"",""y"")"`],
  ['+1', "'+1"],
  ['-1+2', "'-1+2"],
  ['@SUM(A1)', "'@SUM(A1)"],
  ['\t=1', "'\t=1"],
  ['\r=1', `"'\r=1"`],
  ['a=b', 'a=b'],
  ['a,"b"', '"a,""b"""'],
  [-1.5, '-1.5'],
  [null, ''],
  [undefined, ''],
])('%j is %j', (value, cell) => {
  expect(csvCell(value)).toBe(cell);
});
