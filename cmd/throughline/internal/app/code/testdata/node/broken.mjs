export const handle = async () => {
