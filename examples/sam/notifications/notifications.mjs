// Would mail what happened.
export const handle = async (event) => {
  console.log(`${event['detail-type']}: ${event.detail.symbol}`);
};
