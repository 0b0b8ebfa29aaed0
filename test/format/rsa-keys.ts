// RSA keys of 2048 bits for docs/vectors/other-wraps.json, as JWK. Fixed for ever: these are no secrets.

export interface RsaKey {
  readonly kty: "RSA";
  readonly n: string;
  readonly e: string;
  readonly d: string;
  readonly p: string;
  readonly q: string;
  readonly dp: string;
  readonly dq: string;
  readonly qi: string;
}

export const RSA_KEY: RsaKey = {
  kty: "RSA",
  n: [
    "sKCsBvMY0dG_1AFsWuKXXM02io2bkxwTJzcOTa0kXBRjTysEIwWf1arS3wV2AT9uWN_iYD3CWAVN_82vQCcn_vUu8SyKchiJmk6tBEsqzynAqM",
    "DpHos1V5JJrs-V1cZn1nHiCaEphoI5zs1zDyrGqL2UkZe6I3uSbzhOYtYvdK_fo6IPhKXgn1zMVREh7rThVBQGNSaI35YOk8WN2hkVe3tvcOIM",
    "6Nrc-7_l39lBE8o28zMOwT0azP8ZJtfOYc_-PPoTBnTpE2XptsZoUMJOFSsy8HFj2UnfuCewhTz6YTDbnX8LzrGf3mV644YuB82rlOCQoPwGo-",
    "Jj8MYkR0_H1w",
  ].join(""),
  e: "AQAB",
  d: [
    "EWU5nBOcGaoNOP2M5OSVILQrT3kD3fixYDbZZ0gKoTD22Oi1JxfaNop06zcX-KZ9IS6nlm_usImRNYTV4j0ZANC391O6LOOCxdpCyv32MOH9Ug",
    "Fx1CrEraPAMwHJ0XyRZHrh1q3zL4aq19W_I7rERwEo3S_yyqTUdrS2b6CFmvm_Vfw_cThbJ8bVJFtB9G4R1oCLzjvdQyc9LSm7FJpzzwoL0CEz",
    "EIg9sl3xjRv1f9NYaDnpPv7ioNVPvjyDL4RcLnthnrYin_B38-Zkuc5U6NnvsP3i5gIz4C7EO5akEd6rgc1xdvnQfSFsRmVzoqB2TdL9MhC-Z6",
    "SZCO-O-OF9mQ",
  ].join(""),
  p: [
    "4pyd6Z0H9hPJAcCPAprKvhXsFvbCLL0sCjlS1Jt_46hw6NZCFMfP1-WOiTLNzwepEoK4tajCjpI4n2sntj4ALwXVXBma4VScRSNaqZYfbSWBGD",
    "-eVtW-s_DCEG1Jr4oJcAor_8qv_zO4B9a4jJ8_XAsTkN6SmwCN5XkdTZLvpV8",
  ].join(""),
  q: [
    "x4ib-mBvoqHeM3CJ4kKkBiXO10bQQt5u17y3DVCz80b_3M2M-7CCVa0VEPVoeBCT6mkgtmKK8XV1PoP425gjqtn0V6cdhaZubInPEvvMjh05AX",
    "LUSONfoF7hnOgQLhW7RCHpg9GVpgX2tZcyF_7VEiZL4Li3fy0YxoM3pXJMuIk",
  ].join(""),
  dp: [
    "yqZCNTq_dtjkpVN80Fh6vBhAo5yRso6NRqtSnlxctsrYBfAs8gZpoOlhWOH82IpCMRKDebhsHDE4v5-EyN2TLnnp_k3Linwur0lZd1SPz_x9AK",
    "FLyN2mh6Xi9eu1vGwV2oLOLBYm43JtvVzQdrimYXpqSeAwfLq3KiHwCYJAGsM",
  ].join(""),
  dq: [
    "iWMpqwMdushjm92gQxeJouYDfr02huRrQ8af794imZ7Ia_toWKDXjTCI8c1YKluXzW6nZI2Dh_BNU0dBYcpmvKwoDvZ1YGIRZFCbMUIJPc0nRD",
    "URsEJGxMCv7f7nrSOvdqE3DVmRBejTT4OUrWr8wOt3kXr-deXSSlVtSlDiPKk",
  ].join(""),
  qi: [
    "OGbFuqKxidkrdaVCYm2tlGv4jnB5EvYDzD_OUSzvdQQE02W5dL6zdXQYHFi-AoU9zxnZ0NM2TVvjBoaN-h99AKAm6LelQn5MRCzYDYpJg9W96z",
    "6LOvQW3BCRkwypFFZLu53AZSzcAoqItz_AULGa5Lk4zfKsu0y68Wi3r5HWuso",
  ].join(""),
};

export const OTHER_RSA_KEY: RsaKey = {
  kty: "RSA",
  n: [
    "njvF16ykJQLpAvKLAlUsMy62oEmta3EDLAz6Li7PlepQhbS6_IUOlnkwgfKBATKnj3IPjLfSLU0qsAbvGh2qrn1ivziWgKEhV6ZZSrItDzCTUS",
    "TnyP6NiLNSYhtVZ5ZFssY3QhNLZ-gNSIVIrw94--5j6IebjEYgU4BcC0cOmElRx9o4TC1xJfPjW4piIstl877ydCSpL8pTAbxfVn3HfT9LS5vV",
    "0NHoo8FNyThx45mCUiUJLSxkU-4EiqeKwvt9pjre7W7SYtOpD56GaPx1lmqXyMlBOYhVUWUBIpymVfKhQKbC-iz1xhzCPJVQNw-xetL-9gISAl",
    "3lbAsM-NPZaQ",
  ].join(""),
  e: "AQAB",
  d: [
    "BjQuvhWBPAhArYJn69f-CyWuOFubJobASpZZqrzgG68bqBpdaHApEcI_oiCpaSwcwLWGoYxFe8w2O7-R2VLHcd7to7SqxfFLVt3pS1HwDVPour",
    "o5Mjq0vuLU_I64yv5rziYSXY9XGgRRnQHIx0BSjIIcva2vbhEDzHJQaYrIKjVJ7FNWTbnnRwJD13NL-mTA34pqWkOOo-7YMBZY2jX2-CT7t0YW",
    "ED5tg__1-TNyNMhu_3nHWoQpvCEVrj7Pitm_xJ_J1F7VxeWsx2PuBmhRRJAR-l8OADx0qXVX5xfhpjRKHvitJ7W2Fl_GNZFRRtU8IKndICDUN9",
    "B6mHdGZTV6Bw",
  ].join(""),
  p: [
    "zGUsbbgztTikebZm2dEIrxU4Nz4PEeBq97u3EfbUOwp5PXCdgoxx7QaqRpYUDaR15aKZjjinsrJdraVvZHRXkGAzPHG-mMXAoNy9IqfgX-WL91",
    "gjeSquubJvN8cfbJW0mYwws4LhGE55srjDmeIDl2PQo04CLsbIP9jkVGl1_HM",
  ].join(""),
  q: [
    "xi7-oOBfDsc_SZesx8PQb821t7TSsuia-ST9YzycVGU6iSwP-d2oMGAE2SeLEeEfv5C7RSAa3IrqeVWnKK6nprK4iGn805Gr_yz7QI0eTxcBvg",
    "k6ZIxWtDA4c_sEzFkuTlEZpAateSGR9ziLvMsO5T8C-hG2OfJWMPaLnERCF7M",
  ].join(""),
  dp: [
    "yzQupmpCJgHJKyQXPqed7Yq4F9u_2bL2RZK_H8H4HzZ7cIS8Y2TDgrVkpcZg62s8tu8foJBc0MCZd6CIjSNJRsUNSyN-LJ41svehpYmm_U_WBj",
    "L_GWBA02c9QQPbDvYK1bjVVjJhHOwv-2nLNPrJPUJD04cjjmOcBDXaUr2CSlc",
  ].join(""),
  dq: [
    "ugMR612s2uoYdLJv8W_RC59AmBSYTmQUURRu393bvTrmHinFNPjfC8iTxF5hIX7zlZH6s37Wt3mLaicCpiSIJuZIXYFdVBa-INvPV18cu48Ui5",
    "GNxSITnzxDQFiywDpURB3KuzGpULA5mJjyT1knufPSj3RgXTMfwwUlNJ68ihE",
  ].join(""),
  qi: [
    "cnJ5jgRue0bNDN0DaNx2-4BKU03S7yL1HiK8r9NHKNO54UVtBC6wi73jE3UN5iK8deBjOWvbnpO4h_vSnGWPGQrVPT2MT0UM0JJ688YvjQtnf9",
    "aJNdhnPOVSnOqsJBGT1l5xxJKHgV3JEPqW7PbHJIohOKU9Mchk0oCRvc1cevc",
  ].join(""),
};
