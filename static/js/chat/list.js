/* The page of all chats. */
import { Sessions } from "./sessions.js";

new Sessions();
