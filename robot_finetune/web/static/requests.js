// Requests that change something carry a header that no page of another site can send.

export async function ask(path) {
  try {
    const answer = await fetch(path, { method: "POST", headers: { "X-Robot-Finetune": "page" } });
    const body = await answer.text();
    try {
      return JSON.parse(body).said;
    } catch {
      return body;
    }
  } catch (error) {
    return `the page's server does not answer (${error.message})`;
  }
}
