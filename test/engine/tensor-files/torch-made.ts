/**
 * A file that torch 2.15 made, deflated, in base64: the state dict (an OrderedDict with _metadata)
 * t = arange(6).reshape(2, 3).t(), row = arange(6).reshape(2, 3)[1] (both of one storage), h = half [0.5, -2],
 * b = bfloat16 [1, -0.25], i = int64 [7], p = Parameter [[3]].
 */
import { inflateSync } from 'node:zlib';

const DEFLATED = Buffer.from(
  'eNqdlV1v21QYx4/txE3d8dJStmxAxzsZrKmdlyYBuhRvstCMRBuEFPUmchOvsebGeezTjU2qFGlrYXcDoV1O3CE+ARdIiC/AxSa0' +
    'q91Mu5i44gbud16c1HbTls2KbcV+/r/nOef8n+MVU0ohlMmgfYeCsmhzoWNhK9+/7Br6LFobcwzEdttzXbuNHa8XKF/6Hdu3Oxec' +
    'NlYAnWmAkGsKBIZBbGPPb3fzrS3suIHS8u31LcfttLDdCzy/daWggJTLNSdIcEAirQ0bUlyiGK5n4a/4QwXSDKiC3JTIvd3fgglT' +
    'xpBZNZEpmeIuTJqCKe2CcqtLC5jCcKwBL7Bg37sKL3ZJmm6qm+7KXSZ8aZXIpB142RR2YJqLZjC80oBZlqkLr3JJWM3nlntpVMxx' +
    'FqLBCcISMWRpEeIOnKSsU5z1GobXG/AGC1yHuRhLZ0PTFke80yysAG9y3lsh723Ke4fz3sXwXgPeZ4EOfBDjfeH1NkYsPvNFOENY' +
    'AoYPKYtgPqKXs5w1jyHfgAUW2Af1gCXqW761aWPbV0Abzh6TlKDA2UXGNoVdKPFbmfMXMVQaUP2O/al9Cx834JOtbfi0OUnULcK0' +
    'qL9gib0/16S2g/o2LDMbXLH9gJgKPjOFIAjW8yvmRAbXz9+5LCJEz5UDrTuNjhPr5i95/qaFWyHH0GfGOFij1F//eXiDjoeeB1Nn' +
    '0RKlhu5sWa6z0du0e9jQa2Nb438diyVaQP0q/E1GhMRDC5hCaVLA+jVse7TNDF1Aa66DsWtTxs7S45MyiZIPZWRQKuzqBdXQh08H' +
    'dXJZJj9yDsj50zIlnrj95PsseZE9glgYEjVDzz/jVKAq+oPmuvlL8zZJgFJH5JKHuQqGLpJcg/rgd6q/+Gf/32fSF7l+InxDGf0H' +
    'T7wMizqcoQ8ZJUM/9/xLz8dP5pzmvnXv0c9H1z/JHDAyNFn/okLV9+5ufH20f7JksomBWemB7TvEwdctum+3nI6hl55rJKpaLms1' +
    'VauWiwW1WK6plWpFq1SrtbJaLZUWK1q1UCnXajVa5dzahfkcqSPHqhRENpthndHGVvZVvvcdSuqirTsd0/wmov2bQFIebbzZ+B4i' +
    'obHdniRE224qRviBEUbtmhRGuyu+WA8kNOrRpCraJ3FVLjVSaUlVtDviqh/3VIWkKtoPcdVfe6piUhV1clyVTY9UpaQq6uDJeIVM' +
    'dcD6RS2VjcnuM9l4s6+Ysnw2jJuT5iMbbPy+LfL7N/Jwk5DZfvFfmJ1/L9Iy10yxeB77FGCO2F0=',
  'base64',
);

export const torchMade = (): Uint8Array => new Uint8Array(inflateSync(DEFLATED));
