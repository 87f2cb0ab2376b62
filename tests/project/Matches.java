// SPDX-License-Identifier: GPL-2.0-or-later

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Base64;

/** Says for each value, a line of base64 on stdin, whether it matches the expression: as the engine does. */
public class Matches {
    public static void main(String[] args) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = lines.readLine()) != null; ) {
            String value = new String(Base64.getDecoder().decode(line), StandardCharsets.UTF_8);
            System.out.println(value.matches(args[0]));
        }
    }
}
