export const take = async (event) => event.Records.length;
