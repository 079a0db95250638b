export const handle = async (event) => {
  for (const record of event.Records) {
    const { text, words } = JSON.parse(record.body);
    console.log(`${words} words: ${text.toUpperCase()}`);
  }
};
