export default { compilerOptions: { runes: true, cssHash: ({ hash, css }) => `c-${hash(css)}` } };
